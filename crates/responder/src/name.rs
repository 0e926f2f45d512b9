//! Domain names, where a format wants them in a form of its own.

use hickory_proto::rr::Name;

/// A name on the wire (RFC 1035, section 3.1), without the compression that is forbidden outside of DNS messages (RFC
/// 8415, section 10; RFC 8106, section 5.2).
pub(crate) fn uncompressed(name: &Name) -> Vec<u8> {
    let labels = name.iter().filter_map(|label| Some((u8::try_from(label.len()).ok()?, label)));
    let mut bytes: Vec<_> = labels.flat_map(|(length, label)| [&[length], label].concat()).collect();
    bytes.push(0);
    bytes
}
