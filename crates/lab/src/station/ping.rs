//! Echo requests: whether they come back, how many do, and what a stream of them loses while something happens.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait::wait_until;

use super::Station;

/// Time that a reply has after the last request.
const REPLY_LIMIT: Duration = Duration::from_secs(1);

/// How to ping.
#[derive(Debug, Clone)]
pub struct Ping {
    to: IpAddr,
    count: u32,
    interval: Duration,
    payload_bytes: u16,
    dont_fragment: bool,
}

impl Ping {
    /// Three requests, 50 ms apart, with a payload of 56 bytes.
    #[must_use]
    pub fn to(address: IpAddr) -> Self {
        Self {
            to: address,
            count: 3,
            interval: Duration::from_millis(50),
            payload_bytes: 56,
            dont_fragment: false,
        }
    }

    /// Sets the number of requests.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Sets the time between requests, one millisecond at least.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the bytes after the ICMP header: 28 less than the IPv4 packet, 48 less than the IPv6 packet.
    #[must_use]
    pub fn payload_bytes(mut self, bytes: u16) -> Self {
        self.payload_bytes = bytes;
        self
    }

    /// Forbids fragments: what is too large for a link is dropped there, and an ICMP error may say so.
    #[must_use]
    pub fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    fn argv(&self, extra: &[&str]) -> Vec<String> {
        let fragments = if self.dont_fragment { "do" } else { "dont" };
        let [interval, size] = [self.interval.as_secs_f64().to_string(), self.payload_bytes.to_string()];
        let mut argv = vec!["ping", "-n", "-i", &interval, "-s", &size, "-M", fragments];
        argv.extend(extra);
        let to = self.to.to_string();
        argv.push(&to);
        argv.into_iter().map(str::to_owned).collect()
    }
}

/// What came of some echo requests.
#[derive(Debug, Clone, PartialEq)]
pub struct PingResult {
    /// Requests that were sent.
    pub sent: u32,
    /// Requests that were answered.
    pub received: u32,
    /// Answers beyond the first to a request.
    pub duplicates: u32,
    /// ICMP errors that came instead of answers.
    pub errors: u32,
    /// Mean time to an answer.
    pub mean_round_trip: Option<Duration>,
}

impl PingResult {
    /// Whether anything was answered.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.received > 0
    }

    /// Whether every request was answered, once.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        self.received == self.sent && self.duplicates == 0 && self.reached()
    }
}

/// What a stream of echo requests lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossReport {
    /// Requests that were sent.
    pub sent: u32,
    /// Numbers of the requests that were not answered, counted from one.
    pub lost: Vec<u32>,
    /// The longest time without an answer: requests in a row that were lost, times their interval.
    pub longest_gap: Duration,
}

/// A stream of echo requests in the background.
#[derive(Debug)]
pub struct PingStream {
    process: Process,
    interval: Duration,
}

impl Station {
    /// Sends three echo requests.
    ///
    /// # Errors
    /// [`Error::Failed`] if `ping` itself fails, for instance without a route. No answer is a result and no error.
    pub fn ping(&self, address: IpAddr) -> Result<PingResult> {
        self.ping_with(&Ping::to(address))
    }

    /// Whether an echo request is answered within a second: the quickest way to know.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn reaches(&self, address: IpAddr) -> Result<bool> {
        // With `-c` and `-w`, ping(8) repeats the request until one is answered or the time is over.
        let once = Ping::to(address).interval(Duration::from_millis(200)).argv(&["-q", "-c", "1", "-w", "1"]);
        let output = self.attempt(&once)?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Error::Failed { command: once.join(" "), place: self.name().to_owned(), output }),
        }
    }

    /// Sends echo requests as told and waits for the answers.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn ping_with(&self, ping: &Ping) -> Result<PingResult> {
        let (count, linger) = (ping.count.to_string(), REPLY_LIMIT.as_secs().to_string());
        let argv = ping.argv(&["-q", "-c", &count, "-W", &linger]);
        let output = self.attempt(&argv)?;
        if let Some(result) = parse_summary(&output.stdout) {
            return Ok(result);
        }
        Err(Error::Failed { command: argv.join(" "), place: self.name().to_owned(), output })
    }

    /// Starts a stream of echo requests in the background.
    ///
    /// # Errors
    /// As [`Namespace::spawn`](crate::Namespace::spawn).
    pub fn start_ping(&self, address: IpAddr, interval: Duration) -> Result<PingStream> {
        let ping = Ping::to(address).interval(interval);
        // stdbuf(1): into a file, `ping` would write in blocks.
        let argv = ["stdbuf", "-oL"].map(str::to_owned).into_iter().chain(ping.argv(&[]));
        let process = self.spawn_probe("ping", argv)?;
        Ok(PingStream { process, interval: ping.interval })
    }
}

impl PingStream {
    /// The number of requests answered so far.
    ///
    /// # Errors
    /// [`Error::File`] if the log cannot be read.
    pub fn received(&self) -> Result<u32> {
        let answered = answered(&self.process.output()?).len();
        Ok(u32::try_from(answered).unwrap_or(u32::MAX))
    }

    /// Waits until `count` more requests are answered.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    pub fn wait_for_more(&self, count: u32, limit: Duration) -> Result<()> {
        let goal = self.received()?.saturating_add(count);
        wait_until(format!("{goal} answers"), limit, || match self.received() {
            Ok(received) if received >= goal => Ok(()),
            Ok(received) => Err(format!("{received} have come")),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Ends the stream and tells what it lost. Requests of the last second that nothing has come after are not counted:
    /// their answers may be under way.
    ///
    /// # Errors
    /// [`Error::Answer`] if `ping` has given no account of itself.
    pub fn finish(self) -> Result<LossReport> {
        self.process.interrupt()?;
        let output = self.process.output()?;
        let sent = parse_summary(&output).ok_or_else(|| self.process.complaint("no summary"))?.sent;
        Ok(loss(sent, &answered(&output), self.interval))
    }
}

/// The numbers of answered requests, in the lines of ping(8). It shows the 16 bits that a message holds (RFC 792), which
/// go round: of the numbers that a line may mean, it is the one nearest to that of the line before.
fn answered(output: &str) -> BTreeSet<u32> {
    let shown = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse::<u16>().ok();
    let lines = output.lines().filter(|line| line.contains(" bytes from ")).filter_map(shown);
    let numbers = lines.scan(0_u32, |last, shown| {
        let ahead = shown.wrapping_sub(*last as u16) as i16;
        *last = last.saturating_add_signed(ahead.into());
        Some(*last)
    });
    numbers.collect()
}

fn loss(sent: u32, answered: &BTreeSet<u32>, interval: Duration) -> LossReport {
    let young = REPLY_LIMIT.as_nanos() / interval.as_nanos().max(1);
    let old = sent.saturating_sub(u32::try_from(young).unwrap_or(u32::MAX));
    let sent = answered.last().map_or(old, |last| old.max(*last));
    let lost: Vec<u32> = (1..=sent).filter(|number| !answered.contains(number)).collect();
    let runs = lost.chunk_by(|a, b| a + 1 == *b).map(<[u32]>::len);
    let longest = u32::try_from(runs.max().unwrap_or(0)).unwrap_or(u32::MAX);
    LossReport { sent, lost, longest_gap: interval * longest }
}

/// Reads the summary of ping(8): "3 packets transmitted, 2 received, +1 duplicates, 33% packet loss, time 102ms".
fn parse_summary(output: &str) -> Option<PingResult> {
    let counts = output.lines().find(|line| line.contains(" packets transmitted"))?;
    let number = |what: &str| {
        let part = counts.split(", ").find(|part| part.contains(what))?;
        part.trim_start_matches('+').split(' ').next()?.parse().ok()
    };
    // "rtt min/avg/max/mdev = 0.031/0.044/0.052/0.009 ms"
    let times = output.lines().find_map(|line| line.strip_prefix("rtt ")?.split_once(" = "));
    let mean = times.and_then(|(_, times)| times.split('/').nth(1)?.parse().ok());
    Some(PingResult {
        sent: number("transmitted")?,
        received: number(" received")?,
        duplicates: number("duplicates").unwrap_or(0),
        errors: number("errors").unwrap_or(0),
        mean_round_trip: mean.map(|milliseconds: f64| Duration::from_secs_f64(milliseconds / 1e3)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(summary: &str, expected: Option<[u32; 4]>) {
        let counts = parse_summary(summary).map(|it| [it.sent, it.received, it.duplicates, it.errors]);
        assert_eq!(counts, expected);
    }

    #[test]
    fn summaries_are_read() {
        check("3 packets transmitted, 3 received, 0% packet loss, time 102ms\nrtt", Some([3, 3, 0, 0]));
        check(
            "3 packets transmitted, 2 received, +1 duplicates, 33% packet loss, time 9ms",
            Some([3, 2, 1, 0]),
        );
        check("2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 9ms", Some([2, 0, 0, 2]));
        check("ping: connect: Network is unreachable", None);
    }

    #[test]
    fn the_mean_time_is_read() {
        let output =
            "1 packets transmitted, 1 received, 0% packet loss\nrtt min/avg/max/mdev = 1.0/2.5/4.0/0.1 ms\n";
        let mean = parse_summary(output).and_then(|result| result.mean_round_trip);
        assert_eq!(mean, Some(Duration::from_micros(2500)));
    }

    #[test]
    fn the_longest_gap_is_the_longest_run_of_lost_requests() {
        let lines: Vec<_> =
            [1, 2, 5, 7].iter().map(|n| format!("64 bytes from ::1: icmp_seq={n} ttl=64")).collect();
        let report = loss(7, &answered(&lines.join("\n")), Duration::from_millis(10));
        assert_eq!(
            report,
            LossReport { sent: 7, lost: vec![3, 4, 6], longest_gap: Duration::from_millis(20) }
        );
    }

    #[test]
    fn numbers_go_round_after_65535() {
        let lines = [65_534, 65_535, 1, 0, 3].map(|n: u16| format!("64 bytes from ::1: icmp_seq={n} ttl=64"));
        let start = (1..65_534).map(|n| format!("64 bytes from ::1: icmp_seq={n} ttl=64"));
        let output: Vec<_> = start.chain(lines).collect();
        let report = loss(65_539, &answered(&output.join("\n")), Duration::from_millis(1000));
        assert_eq!(report.lost, [65_538]);
    }

    #[test]
    fn requests_without_an_answer_are_lost_once_they_are_old() {
        let lost = |sent| loss(sent, &BTreeSet::from([1]), Duration::from_millis(100)).lost;
        assert_eq!((lost(11), lost(13)), (vec![], vec![2, 3]));
    }
}
