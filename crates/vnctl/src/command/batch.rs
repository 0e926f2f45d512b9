//! Batches: commands from a file, one a line, as the original ran them.

use std::ffi::OsString;

use super::change::merge_labels;
use super::{BatchMode, Command, Session};
use crate::Streams;
use crate::error::Error;
use crate::grammar::{Invocation, Options, parse};
use crate::operation::Operation;
use crate::output::Format;

/// A line that says something, with its number.
struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn at(&self, source: Error) -> Error {
        Error::Line { number: self.number, source: Box::new(source) }
    }

    fn invocation(&self) -> Result<Invocation, Error> {
        let words = shlex::split(self.text).ok_or_else(|| Error::Usage("the quotes do not match".to_owned()));
        let words = words.map_err(|error| self.at(error))?;
        // Lines pasted from a tutorial begin with the program's name.
        let skip = usize::from(words.first().is_some_and(|first| first == "vnctl"));
        let invocation =
            parse(words.into_iter().skip(skip).map(OsString::from)).map_err(|error| self.at(error))?;
        match invocation.command {
            Command::Batch { .. } => Err(self.at(Error::Usage("a batch holds no batch".to_owned()))),
            _ => Ok(invocation),
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let numbered =
        text.lines().enumerate().map(|(index, text)| Line { number: index + 1, text: text.trim() });
    numbered.filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
}

impl Session<'_> {
    /// Runs the commands of a file.
    pub(super) fn batch(&mut self, file: &str, mode: BatchMode) -> Result<(), Error> {
        let text = self.read(file)?;
        if mode == BatchMode::Atomic {
            return self.atomic(&text);
        }
        self.echo(&format!("BEGIN ({file})"))?;
        let mut failures = Vec::new();
        for line in lines(&text) {
            self.echo(&format!("> {}", line.text))?;
            match self.line(&line) {
                Err(error) if mode == BatchMode::KeepGoing && !error.is_output() => {
                    error.report(self.out, self.err);
                    failures.push(error);
                }
                done => done?,
            }
        }
        self.echo("EOF")?;
        let failed = failures.len();
        let first = failures.into_iter().next();
        first.map_or(Ok(()), |first| Err(Error::Lines { failed, first: Box::new(first) }))
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), Error> {
        let Invocation { command, options } = line.invocation()?;
        if options == Options::default() {
            return self.execute(command).map_err(|error| line.at(error));
        }
        let options = options.or(&self.options);
        let streams = Streams { input: &mut *self.input, out: &mut *self.out, err: &mut *self.err };
        let mut session = Session::open(self.environment, &options, streams)?;
        session.execute(command).map_err(|error| line.at(error))
    }

    /// All lines as one request.
    fn atomic(&mut self, text: &str) -> Result<(), Error> {
        let mut operations: Vec<Operation> = Vec::new();
        for line in lines(text) {
            match line.invocation()?.command {
                Command::Change(of_line) => operations.extend(of_line),
                _ => {
                    return Err(
                        line.at(Error::Usage("--atomic takes commands that change objects".to_owned()))
                    );
                }
            }
        }
        operations.iter_mut().try_for_each(|operation| merge_labels(&self.client, operation))?;
        let answer = self.client.change(Operation::batch(&operations))?;
        let revision = answer.revision.as_deref().unwrap_or("?");
        let sentence = format!("revision {revision}: {} operations", operations.len());
        self.format.outcome(self.out, &sentence, &answer.body)?;
        answer.realized()
    }

    /// What the original printed between results. Programs want results alone.
    fn echo(&mut self, text: &str) -> Result<(), Error> {
        match self.format {
            Format::Table => Ok(writeln!(self.out, "{text}")?),
            _ => Ok(()),
        }
    }
}
