//! The one form of the store and the wire: JSON without what says nothing. An attribute that is null, empty or as usual is so,
//! too, when it is not there, and most attributes of most objects are.

use std::cell::RefCell;
use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// A JSON object without the members that are null or empty, or have their usual value; those of its members stay.
///
/// # Errors
/// As for [`serde_json::to_vec`].
pub(crate) fn said(object: &impl Serialize, usual: &[(&str, &str)]) -> serde_json::Result<Vec<u8>> {
    let out = RefCell::new(Vec::with_capacity(512));
    let members = Members { out: &out, usual, depth: 0, member: 0, value: 0 };
    object.serialize(&mut Serializer::with_formatter(Out(&out), members))?;
    Ok(out.into_inner())
}

/// Where the serializer writes.
struct Out<'a>(&'a RefCell<Vec<u8>>);

impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes members back that say nothing, as soon as they are written.
struct Members<'a> {
    out: &'a RefCell<Vec<u8>>,
    usual: &'a [(&'a str, &'a str)],
    /// How many objects are open.
    depth: usize,
    /// Where the newest member of the outermost object begins, with the comma before it.
    member: usize,
    /// Where its value begins.
    value: usize,
}

impl Members<'_> {
    fn says_nothing(&self, out: &[u8]) -> bool {
        let (member, value) = out.get(self.member..).unwrap_or_default().split_at(self.value - self.member);
        let name = member.split(|byte| *byte == b'"').nth(1);
        let is_usual = |(usual, of): &(&str, &str)| value == of.as_bytes() && name == Some(usual.as_bytes());
        matches!(value, b"null" | b"\"\"" | b"[]" | b"{}") || self.usual.iter().any(is_usual)
    }
}

impl Formatter for Members<'_> {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        let mut is_first = first;
        if self.depth == 1 {
            self.member = self.out.borrow().len();
            is_first = self.member == 1;
        }
        if is_first { Ok(()) } else { writer.write_all(b",") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b":")?;
        if self.depth == 1 {
            self.value = self.out.borrow().len();
        }
        Ok(())
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        if self.depth == 1 && self.says_nothing(&out) {
            out.truncate(self.member);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        let check = |object: &str, expected: &str| {
            let object: serde_json::Value = serde_json::from_str(object).expect("JSON");
            let sparse = said(&object, &[("i", "true")]).expect("an object");
            assert_eq!(str::from_utf8(&sparse), Ok(expected), "{object}");
        };
        check("{}", "{}");
        check(r#"{"h":true,"i":true}"#, r#"{"h":true}"#);
        check(r#"{"i":false}"#, r#"{"i":false}"#);
        check(r#"{"a":null,"b":"","c":[],"d":{}}"#, "{}");
        check(
            r#"{"a":null,"b":false,"c":0,"d":["",{}],"e":{"f":null},"g":"}","h":[]}"#,
            r#"{"b":false,"c":0,"d":["",{}],"e":{"f":null},"g":"}"}"#,
        );
    }
}
