//! Finds where one JSON object of a stream ends.
//!
//! JSON-RPC 1.0 over a stream has no delimiters: messages are objects, one after another (RFC 7047, section 4.1). The
//! scanner follows strings and brackets only, which is enough to find an object's end; whether it is JSON is for the
//! parser to say.
//!
//! # Linear time
//! The state survives between reads, so that every byte is looked at once however the stream is cut. An initial dump of
//! 50 MB arrives in thousands of reads; to start over at each would make it quadratic.
//!
//! # Limits
//! A message is at most [`MAX_FRAME_BYTES`] long and [`MAX_NESTING`] deep. Both are checked before the parser sees it.

use bytes::{Bytes, BytesMut};

/// The longest message accepted, in bytes. The initial dump of a large database is one message; ten times the largest
/// seen in practice.
pub const MAX_FRAME_BYTES: usize = 512 << 20;

/// The deepest nesting accepted. A schema, the deepest message there is, has about a dozen levels; the parser itself
/// recurses once a level.
pub const MAX_NESTING: usize = 64;

/// Why a stream can no longer be cut into messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Something that is not an object stands between messages.
    #[error("byte 0x{0:02x} where a message should start")]
    NotAnObject(u8),
    /// A message is longer than allowed.
    #[error("message longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A message is nested deeper than [`MAX_NESTING`].
    #[error("message nested deeper than {MAX_NESTING} levels")]
    TooDeep,
}

/// Incremental scanner over a stream of JSON objects.
#[derive(Debug)]
pub struct Scanner {
    inbound: BytesMut,
    /// Bytes of `inbound` that were looked at already.
    scanned: usize,
    depth: usize,
    text: Text,
    limit: usize,
    steps: u64,
}

/// Where the scanner stands with respect to strings, in which brackets mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// Inside, after a backslash: the next byte cannot end the string.
    Escaped,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::with_limit(MAX_FRAME_BYTES)
    }
}

impl Scanner {
    /// A scanner that accepts messages of up to `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { inbound: BytesMut::new(), scanned: 0, depth: 0, text: Text::Outside, limit, steps: 0 }
    }

    /// The buffer to append received bytes to.
    pub fn inbound(&mut self) -> &mut BytesMut {
        &mut self.inbound
    }

    /// How many bytes were looked at since the scanner was made. Equal to the bytes received, or less: the cost is linear.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The next complete message, or `None` until more bytes are there.
    ///
    /// # Errors
    /// The stream is not a sequence of objects within the limits. It cannot be read any further.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.skip_space();
        while let Some(&byte) = self.inbound.get(self.scanned) {
            self.scanned += 1;
            self.steps += 1;
            if self.advance(byte)? {
                let length = std::mem::take(&mut self.scanned);
                return Ok(Some(self.inbound.split_to(length).freeze()));
            }
            if self.scanned >= self.limit {
                return Err(FrameError::TooLong { limit: self.limit });
            }
        }
        Ok(None)
    }

    fn skip_space(&mut self) {
        if self.depth == 0 {
            let space = self.inbound.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let _ = self.inbound.split_to(space);
        }
    }

    /// Takes one byte. True when it ends a message.
    fn advance(&mut self, byte: u8) -> Result<bool, FrameError> {
        self.text = match (self.text, byte) {
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Inside, b'"') => Text::Outside,
            (Text::Inside | Text::Escaped, _) => Text::Inside,
            (Text::Outside, b'"') if self.depth > 0 => Text::Inside,
            (Text::Outside, _) => return self.advance_structure(byte),
        };
        Ok(false)
    }

    fn advance_structure(&mut self, byte: u8) -> Result<bool, FrameError> {
        match byte {
            b'[' | b'{' if self.depth > 0 || byte == b'{' => {
                self.depth += 1;
                if self.depth > MAX_NESTING { Err(FrameError::TooDeep) } else { Ok(false) }
            }
            _ if self.depth == 0 => Err(FrameError::NotAnObject(byte)),
            // Whether the bracket fits the one it closes is for the parser to say.
            b']' | b'}' => {
                self.depth -= 1;
                Ok(self.depth == 0)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `stream` in pieces of the given sizes, repeated.
    fn frames(stream: &[u8], pieces: &[usize]) -> (Result<Vec<Bytes>, FrameError>, u64) {
        let mut scanner = Scanner::with_limit(1 << 16);
        let mut found = Vec::new();
        let mut rest = stream;
        for size in pieces.iter().cycle() {
            let (piece, after) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
            scanner.inbound().extend_from_slice(piece);
            rest = after;
            loop {
                match scanner.next_frame() {
                    Ok(Some(frame)) => found.push(frame),
                    Ok(None) => break,
                    Err(error) => return (Err(error), scanner.steps()),
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        (Ok(found), scanner.steps())
    }

    fn check(stream: &str, expected: Result<&[&str], FrameError>) {
        let expected = expected
            .map(|frames| frames.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect());
        assert_eq!(frames(stream.as_bytes(), &[7]).0, expected, "{stream}");
    }

    #[test]
    fn messages_are_found_without_delimiters() {
        check(r#"{}{"a":1} {"b":[]}"#, Ok(&["{}", r#"{"a":1}"#, r#"{"b":[]}"#]));
    }

    #[test]
    fn brackets_and_quotes_in_strings_mean_nothing() {
        check(r#"{"}\"{":"\\"}{}"#, Ok(&[r#"{"}\"{":"\\"}"#, "{}"]));
    }

    #[test]
    fn what_is_not_an_object_is_refused_at_once() {
        check("null", Err(FrameError::NotAnObject(b'n')));
        check("{}]", Err(FrameError::NotAnObject(b']')));
        check("\"{", Err(FrameError::NotAnObject(b'"')));
    }

    #[test]
    fn depth_and_length_are_limited() {
        check(&format!("{{{}", "[".repeat(MAX_NESTING)), Err(FrameError::TooDeep));
        check(&format!("{{\"{}", "x".repeat(1 << 16)), Err(FrameError::TooLong { limit: 1 << 16 }));
    }

    #[test]
    fn every_byte_is_looked_at_once() {
        let stream = format!("{{\"a\":\"{}\"}}", "x".repeat(60_000));
        let (_, steps) = frames(stream.as_bytes(), &[1]);
        assert_eq!(steps, stream.len() as u64);
    }

    proptest! {
        #[test]
        fn splitting_at_any_byte_gives_the_same_messages(
            stream in r#"([ \n]|\{("([a-z{}\[\]]|\\.){0,5}":(\[\]|"\\\\"|1),?){0,3}\}){0,8}"#,
            pieces in prop::collection::vec(1_usize..9, 1..9),
        ) {
            let whole = frames(stream.as_bytes(), &[usize::MAX]).0;
            prop_assert_eq!(frames(stream.as_bytes(), &pieces).0, whole);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), pieces in prop::collection::vec(1_usize..9, 1..4)) {
            let (whole, _) = frames(&bytes, &[usize::MAX]);
            prop_assert_eq!(frames(&bytes, &pieces).0, whole);
        }
    }
}
