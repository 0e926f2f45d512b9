//! Groups: OpenFlow 1.5.1, section 7.3.4.3.

use super::action::{read_actions, write_actions};
use super::oxm::{self, Entry, Read};
use super::{DecodeError, EncodeError, Reader, Writer};
use crate::command::{BucketPlace, GroupMod};
use crate::group::{Bucket, BucketId, Group, GroupType, Selection};
use crate::{GroupId, OfPort};

const ADD: u16 = 0;
const MODIFY: u16 = 1;
const DELETE: u16 = 2;
const INSERT_BUCKET: u16 = 3;
const REMOVE_BUCKET: u16 = 5;
/// Of Open vSwitch (ovs-ofctl(8), `--may-create mod-group`).
const ADD_OR_MODIFY: u16 = 0x8000;

const WEIGHT: u16 = 0;
const WATCH_PORT: u16 = 1;
const WATCH_GROUP: u16 = 2;
const EXPERIMENTER: u16 = 0xffff;
/// Experimenter id of the selection method (Netronome).
const NETRONOME: u32 = 0x0000_154d;
const SELECTION_METHOD: u32 = 1;
/// Bytes of a selection method's name, the last one zero.
const METHOD_BYTES: usize = 16;

const BUCKET_FIRST: u32 = 0xffff_fffd;
const BUCKET_LAST: u32 = 0xffff_fffe;
const BUCKET_ALL: u32 = 0xffff_ffff;

fn group_type(reader: &mut Reader<'_>) -> Result<GroupType, DecodeError> {
    Ok(match reader.u8()? {
        0 => GroupType::All,
        1 => GroupType::Select,
        2 => GroupType::Indirect,
        3 => GroupType::FastFailover,
        other => return reader.undefined(other),
    })
}

fn type_number(kind: GroupType) -> u8 {
    match kind {
        GroupType::All => 0,
        GroupType::Select => 1,
        GroupType::Indirect => 2,
        GroupType::FastFailover => 3,
    }
}

pub(crate) fn read_group_mod(mut reader: Reader<'_>) -> Result<GroupMod, DecodeError> {
    let command = reader.u16()?;
    let kind = group_type(&mut reader)?;
    reader.zeros(1)?;
    let id = GroupId(reader.u32()?);
    let length = usize::from(reader.u16()?);
    reader.zeros(2)?;
    let place = place(reader.u32()?);
    let buckets = reader.sub("buckets", length)?.all(|reader| read_bucket(reader, kind))?;
    let selection = read_properties(reader.clone())?;
    let group = Group { id, kind, selection, buckets };
    Ok(match command {
        ADD => GroupMod::Add(group),
        MODIFY => GroupMod::Modify(group),
        ADD_OR_MODIFY => GroupMod::AddOrModify(group),
        DELETE => GroupMod::Delete(id),
        INSERT_BUCKET => GroupMod::InsertBuckets { group, place },
        REMOVE_BUCKET => GroupMod::RemoveBucket { group: id, place },
        other => return reader.undefined(other),
    })
}

fn place(number: u32) -> BucketPlace {
    match number {
        BUCKET_FIRST => BucketPlace::First,
        BUCKET_LAST => BucketPlace::Last,
        BUCKET_ALL => BucketPlace::All,
        other => BucketPlace::At(BucketId(other)),
    }
}

fn place_number(place: BucketPlace) -> u32 {
    match place {
        BucketPlace::First => BUCKET_FIRST,
        BucketPlace::Last => BUCKET_LAST,
        BucketPlace::All => BUCKET_ALL,
        BucketPlace::At(BucketId(number)) => number,
    }
}

pub(crate) fn write_group_mod(writer: &mut Writer, command: &GroupMod) {
    let none = |id| Group { id, kind: GroupType::All, selection: None, buckets: Vec::new() };
    match command {
        GroupMod::Add(group) => write(writer, ADD, group, BUCKET_ALL),
        GroupMod::Modify(group) => write(writer, MODIFY, group, BUCKET_ALL),
        GroupMod::AddOrModify(group) => write(writer, ADD_OR_MODIFY, group, BUCKET_ALL),
        GroupMod::Delete(id) => write(writer, DELETE, &none(*id), BUCKET_ALL),
        GroupMod::InsertBuckets { group, place } => write(writer, INSERT_BUCKET, group, place_number(*place)),
        GroupMod::RemoveBucket { group, place } => {
            write(writer, REMOVE_BUCKET, &none(*group), place_number(*place));
        }
    }
}

fn write(writer: &mut Writer, command: u16, group: &Group, place: u32) {
    writer.u16(command);
    writer.u8(type_number(group.kind));
    writer.zeros(1);
    writer.u32(group.id.0);
    let hole = writer.hole("buckets");
    writer.zeros(2);
    writer.u32(place);
    let buckets = writer.count_from_here(hole);
    group.buckets.iter().for_each(|bucket| write_bucket(writer, bucket, group.kind));
    writer.end(buckets);
    write_properties(writer, group);
}

/// One group of a description reply.
pub(crate) fn read_description(reader: &mut Reader<'_>) -> Result<Group, DecodeError> {
    let mut body = reader.sized("group description")?;
    let kind = group_type(&mut body)?;
    body.zeros(1)?;
    let id = GroupId(body.u32()?);
    let length = usize::from(body.u16()?);
    body.zeros(6)?;
    let buckets = body.sub("buckets", length)?.all(|reader| read_bucket(reader, kind))?;
    Ok(Group { id, kind, selection: read_properties(body)?, buckets })
}

pub(crate) fn write_description(writer: &mut Writer, group: &Group) {
    let mark = writer.begin("group description");
    writer.u8(type_number(group.kind));
    writer.zeros(1);
    writer.u32(group.id.0);
    let hole = writer.hole("buckets");
    writer.zeros(6);
    let buckets = writer.count_from_here(hole);
    group.buckets.iter().for_each(|bucket| write_bucket(writer, bucket, group.kind));
    writer.end(buckets);
    write_properties(writer, group);
    writer.end(mark);
}

fn read_bucket(reader: &mut Reader<'_>, kind: GroupType) -> Result<Bucket, DecodeError> {
    let mut body = reader.sized("bucket")?;
    let length = usize::from(body.u16()?);
    let id = BucketId(body.u32()?);
    let actions = read_actions(body.sub("bucket actions", length)?)?;
    let mut bucket = Bucket::new(id, actions);
    while !body.is_empty() {
        let (property, mut value) = body.property("bucket property")?;
        match property {
            WEIGHT => {
                let weight = value.u16()?;
                value.zeros(2)?;
                // Only select groups have weights (OpenFlow 1.5.1, section 7.3.4.3.1).
                bucket.weight = if kind == GroupType::Select { weight } else { 0 };
            }
            WATCH_PORT => bucket.watch_port = Some(OfPort(value.u32()?)).filter(|port| *port != OfPort::ANY),
            WATCH_GROUP => {
                bucket.watch_group = Some(GroupId(value.u32()?)).filter(|group| *group != GroupId::ANY)
            }
            other => return value.undefined(other),
        }
        value.finish()?;
    }
    Ok(bucket)
}

fn write_bucket(writer: &mut Writer, bucket: &Bucket, kind: GroupType) {
    let mark = writer.begin("bucket");
    let hole = writer.hole("bucket actions");
    writer.u32(bucket.id.0);
    let actions = writer.count_from_here(hole);
    write_actions(writer, &bucket.actions);
    writer.end(actions);
    if kind == GroupType::Select {
        writer.property_u32("bucket weight", WEIGHT, u32::from(bucket.weight) << 16);
    }
    if let Some(port) = bucket.watch_port {
        writer.property_u32("bucket port", WATCH_PORT, port.0);
    }
    if let Some(group) = bucket.watch_group {
        writer.property_u32("bucket group", WATCH_GROUP, group.0);
    }
    writer.end(mark);
}

fn read_properties(mut reader: Reader<'_>) -> Result<Option<Selection>, DecodeError> {
    let mut selection = None;
    while !reader.is_empty() {
        let (kind, mut value) = reader.property("group property")?;
        if kind != EXPERIMENTER {
            return value.undefined(kind);
        }
        let (experimenter, subtype) = (value.u32()?, value.u32()?);
        // What else an experimenter says of a group is not ours to refuse.
        if (experimenter, subtype) == (NETRONOME, SELECTION_METHOD) {
            selection = Some(read_selection(value)?);
        }
    }
    Ok(selection)
}

fn read_selection(mut value: Reader<'_>) -> Result<Selection, DecodeError> {
    value.zeros(4)?;
    let method = value.text(METHOD_BYTES)?;
    let parameter = value.u64()?;
    // The bits a hash covers stand where a match has its value.
    let fields = value.all(read_hash_field)?;
    Ok(Selection { method, parameter, fields })
}

fn read_hash_field(reader: &mut Reader<'_>) -> Result<(crate::Field, u128), DecodeError> {
    match oxm::read_entry(reader)? {
        Read::Known(Entry { field, value, .. }) => Ok((field, value)),
        Read::Opaque(term) => Err(DecodeError::UnknownField { header: term.header }),
    }
}

fn write_properties(writer: &mut Writer, group: &Group) {
    let Some(selection) = &group.selection else {
        return;
    };
    if selection.method.len() >= METHOD_BYTES {
        return writer
            .fail(EncodeError::TooLong { what: "selection method", length: selection.method.len() });
    }
    let mark = writer.begin_tlv("group property", EXPERIMENTER);
    writer.u32(NETRONOME);
    writer.u32(SELECTION_METHOD);
    writer.zeros(4);
    writer.bytes(selection.method.as_bytes());
    writer.zeros(METHOD_BYTES - selection.method.len());
    writer.u64(selection.parameter);
    for (field, bits) in &selection.fields {
        oxm::write_entry(writer, *field, *bits, None);
    }
    writer.end_property(mark);
}
