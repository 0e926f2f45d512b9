//! Commits as bytes, for logs.
//!
//! A commit is the number of its mutations (u32), then each of them: the length of the key (u16), the key, the length
//! of the value plus one (u32, zero for a deletion), the value. Integers are big-endian. A log is read back by later
//! versions: a change of this format is a change of the schema version of whoever stores it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::commit::MAX_COMMIT_MUTATIONS;
use crate::{Commit, Key, Mutation, StoreError};

const TRUNCATED: StoreError = StoreError::Damaged("a commit ends early");

/// Appends a valid commit to `out`.
pub(crate) fn encode(commit: &Commit, out: &mut BytesMut) {
    out.put_u32(length(commit.mutations.len()));
    for mutation in &commit.mutations {
        let key = mutation.key().as_str();
        out.put_u16(u16::try_from(key.len()).expect("MAX_KEY_BYTES fits"));
        out.put_slice(key.as_bytes());
        match mutation.value() {
            Some(value) => {
                out.put_u32(length(value.len() + 1));
                out.put_slice(value);
            }
            None => out.put_u32(0),
        }
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("the bounds of a valid commit fit")
}

/// Takes one commit from the front of `input`.
pub(crate) fn decode(input: &mut Bytes) -> Result<Commit, StoreError> {
    let count = usize::try_from(input.try_get_u32().map_err(|_| TRUNCATED)?).map_err(|_| TRUNCATED)?;
    if count > MAX_COMMIT_MUTATIONS {
        return Err(StoreError::Damaged("a commit has too many mutations"));
    }
    let mutations = (0..count).map(|_| decode_mutation(input)).collect::<Result<_, _>>()?;
    Ok(Commit { mutations })
}

fn decode_mutation(input: &mut Bytes) -> Result<Mutation, StoreError> {
    let length = input.try_get_u16().map_err(|_| TRUNCATED)?;
    let name = take(input, u32::from(length))?;
    let name = std::str::from_utf8(&name).map_err(|_| StoreError::Damaged("a key is not UTF-8"))?;
    let key = Key::new(name).map_err(|_| StoreError::Damaged("a key is invalid"))?;
    match input.try_get_u32().map_err(|_| TRUNCATED)?.checked_sub(1) {
        Some(length) => Ok(Mutation::Put { key, value: take(input, length)? }),
        None => Ok(Mutation::Delete { key }),
    }
}

/// Shares, rather than copies, the next `length` bytes.
fn take(input: &mut Bytes, length: u32) -> Result<Bytes, StoreError> {
    match usize::try_from(length) {
        Ok(length) if length <= input.len() => Ok(input.split_to(length)),
        _ => Err(TRUNCATED),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commits() -> impl Strategy<Value = Commit> {
        let mutation = ("[a-zé/]{1,20}", any::<Option<Vec<u8>>>()).prop_map(|(name, value)| {
            let key = Key::new(name).expect("a valid key");
            match value {
                Some(value) => Mutation::Put { key, value: value.into() },
                None => Mutation::Delete { key },
            }
        });
        prop::collection::vec(mutation, 1..10).prop_map(|mutations| Commit { mutations })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_and_nothing_more_is_consumed(commit in commits(), tail: Vec<u8>) {
            let mut out = BytesMut::new();
            encode(&commit, &mut out);
            out.put_slice(&tail);
            let mut input = out.freeze();
            prop_assert_eq!(decode(&mut input).expect("encoded above"), commit);
            prop_assert_eq!(input, tail);
        }

        #[test]
        fn a_truncated_commit_is_an_error(commit in commits(), cut: prop::sample::Index) {
            let mut out = BytesMut::new();
            encode(&commit, &mut out);
            out.truncate(cut.index(out.len()));
            prop_assert!(decode(&mut out.freeze()).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(input: Vec<u8>) {
            let _ = decode(&mut input.into());
        }
    }
}
