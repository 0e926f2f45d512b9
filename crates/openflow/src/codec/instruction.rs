//! Instructions: OpenFlow 1.5.1, section 7.2.5. Each kind stands at most once in a flow.

use super::action::{read_actions, write_actions};
use super::{DecodeError, Reader, Writer};
use crate::{Instructions, TableId};

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;

/// Reads instructions until the bytes end.
pub(crate) fn read_instructions(mut reader: Reader<'_>) -> Result<Instructions, DecodeError> {
    let mut found = Instructions::default();
    let mut seen = 0u32;
    while !reader.is_empty() {
        let (kind, mut body) = reader.tlv("instruction")?;
        let bit = 1u32.checked_shl(u32::from(kind)).unwrap_or(0);
        if seen & bit != 0 {
            return body.undefined(kind);
        }
        seen |= bit;
        match kind {
            GOTO_TABLE => {
                found.goto_table = Some(TableId(body.u8()?));
                body.zeros(3)?;
            }
            WRITE_METADATA => {
                body.zeros(4)?;
                found.write_metadata = Some((body.u64()?, body.u64()?));
            }
            WRITE_ACTIONS | APPLY_ACTIONS => {
                body.zeros(4)?;
                let actions = read_actions(Reader::new("actions", body.rest()))?;
                if kind == APPLY_ACTIONS { found.apply = actions } else { found.write = actions }
            }
            CLEAR_ACTIONS => {
                body.zeros(4)?;
                found.clear = true;
            }
            // What a flow does is not known, if one of its instructions is not: nothing could be compared.
            other => return body.undefined(other),
        }
        body.finish()?;
    }
    Ok(found)
}

pub(crate) fn write_instructions(writer: &mut Writer, instructions: &Instructions) {
    if !instructions.apply.is_empty() {
        write(writer, APPLY_ACTIONS, |writer| {
            writer.zeros(4);
            write_actions(writer, &instructions.apply);
        });
    }
    if instructions.clear {
        write(writer, CLEAR_ACTIONS, |writer| writer.zeros(4));
    }
    if !instructions.write.is_empty() {
        write(writer, WRITE_ACTIONS, |writer| {
            writer.zeros(4);
            write_actions(writer, &instructions.write);
        });
    }
    if let Some((value, mask)) = instructions.write_metadata {
        write(writer, WRITE_METADATA, |writer| {
            writer.zeros(4);
            writer.u64(value);
            writer.u64(mask);
        });
    }
    if let Some(table) = instructions.goto_table {
        write(writer, GOTO_TABLE, |writer| {
            writer.u8(table.0);
            writer.zeros(3);
        });
    }
}

fn write(writer: &mut Writer, kind: u16, body: impl FnOnce(&mut Writer)) {
    let mark = writer.begin_tlv("instruction", kind);
    body(writer);
    writer.end(mark);
}
