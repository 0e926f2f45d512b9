//! Policies: read from a file, and judged by the manager.

use serde_json::{Value, json};

use super::Session;
use super::ask::{list, text};
use crate::error::Error;
use crate::output::Format;

impl Session<'_> {
    /// The policy in a file, YAML or JSON: a list of statements, or an object with one.
    pub(super) fn policy(&mut self, file: &str) -> Result<Value, Error> {
        let content = self.read(file)?;
        let wrong = |reason: String| Error::Usage(format!("{file}: {reason}"));
        let read: Value = serde_norway::from_str(&content).map_err(|cause| wrong(cause.to_string()))?;
        match read {
            Value::Array(statements) => Ok(json!({ "statements": statements })),
            Value::Object(fields) if fields.keys().eq(["statements"]) => Ok(Value::Object(fields)),
            _ => Err(wrong("must have a list of statements, and nothing else".to_owned())),
        }
    }

    /// Prints whether a policy is kept. Fails if it is not.
    pub(super) fn print_policy(&mut self, judged: &Value) -> Result<(), Error> {
        if self.format == Format::Table {
            list(judged, "/statements").iter().try_for_each(|statement| self.print_statement(statement))?;
        } else {
            self.format.object(self.out, judged)?;
        }
        if judged.get("holds") == Some(&Value::Bool(true)) { Ok(()) } else { Err(Error::No) }
    }

    fn print_statement(&mut self, statement: &Value) -> Result<(), Error> {
        let violations = list(statement, "/violations");
        let number = |name: &str| statement.get(name).and_then(Value::as_u64).unwrap_or_default();
        let verdict = match (violations.is_empty(), number("senders"), number("receivers")) {
            (false, _, _) => "VIOLATED".to_owned(),
            (true, 0, _) | (true, _, 0) => "holds, and says nothing: nobody is named".to_owned(),
            (true, senders, receivers) => format!("holds ({senders} senders, {receivers} receivers)"),
        };
        writeln!(self.out, "{}: {verdict}", text(statement, "/name"))?;
        for violation in violations {
            writeln!(self.out, "\n  {}\n", text(violation, "/text"))?;
            if let Some(trace) = violation.get("trace") {
                self.print_way(trace)?;
            }
        }
        if !violations.is_empty() {
            writeln!(self.out)?;
        }
        Ok(())
    }
}

/// The error with the file that it is about.
pub(super) fn located(error: Error, file: &str) -> Error {
    let Error::Refused(mut refusal) = error else { return error };
    if refusal.field.as_ref().is_some_and(|field| field.starts_with("statements")) {
        refusal.message = format!("{file}: {refusal}");
        if refusal.error == "MissingArgument" {
            // It is said in full now, and no flag would give it.
            refusal.error = "ArgumentError".to_owned();
        }
    }
    Error::Refused(refusal)
}
