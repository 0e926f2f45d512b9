//! Who reaches whom: every ordered pair of stations, pinged.

use std::fmt;
use std::net::IpAddr;

use crate::error::{Error, Result};
use crate::parallel::in_parallel;
use crate::station::Station;

/// A version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Who reached whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    names: Vec<String>,
    /// `reached[from][to]`; a station reaches itself.
    reached: Vec<Vec<bool>>,
}

/// Pings from every station to every other one, at its first address of that family.
///
/// # Errors
/// [`Error::Request`] if a station has no address of that family. A station without a route to another one does not reach
/// it, which is no error.
pub fn reachability<'a>(stations: impl IntoIterator<Item = &'a Station>, family: Family) -> Result<Matrix> {
    let stations: Vec<_> = stations.into_iter().collect();
    let addresses: Vec<IpAddr> = stations.iter().map(|it| address(it, family)).collect::<Result<_>>()?;
    let size = stations.len();
    let pairs = (0..size * size).map(|pair| (pair / size, pair % size));
    let answers =
        in_parallel(pairs, |(from, to)| from == to || stations[from].reaches(addresses[to]).unwrap_or(false));
    let reached = answers.chunks(size.max(1)).map(<[bool]>::to_vec).collect();
    Ok(Matrix::new(stations.iter().map(|it| it.name().to_owned()).collect(), reached))
}

pub(crate) fn address(station: &Station, family: Family) -> Result<IpAddr> {
    let wanted = |address: &IpAddr| address.is_ipv4() == (family == Family::V4);
    let found = station.addresses().iter().map(ipnet::IpNet::addr).find(wanted);
    found.ok_or_else(|| Error::Request(format!("{} has no {family:?} address", station.name())))
}

impl Matrix {
    pub(crate) fn new(names: Vec<String>, reached: Vec<Vec<bool>>) -> Self {
        Self { names, reached }
    }

    /// Whether the station named `from` reached the one named `to`.
    ///
    /// # Panics
    /// If there is no station of that name.
    #[must_use]
    pub fn reached(&self, from: &str, to: &str) -> bool {
        let position = |name| self.names.iter().position(|it| it == name).expect("a station of the matrix");
        self.reached[position(from)][position(to)]
    }

    /// Ordered pairs that do not reach each other.
    #[must_use]
    pub fn unreached(&self) -> Vec<(&str, &str)> {
        self.pairs(false)
    }

    /// Ordered pairs of different stations that reach each other.
    #[must_use]
    pub fn reached_pairs(&self) -> Vec<(&str, &str)> {
        self.pairs(true)
    }

    /// Whether everybody reaches everybody.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unreached().is_empty()
    }

    fn pairs(&self, wanted: bool) -> Vec<(&str, &str)> {
        let rows = self.names.iter().zip(&self.reached);
        let pairs =
            rows.flat_map(|(from, row)| row.iter().zip(&self.names).map(move |(it, to)| (from, to, *it)));
        let wanted = pairs.filter(|(from, to, reached)| from != to && *reached == wanted);
        wanted.map(|(from, to, _)| (from.as_str(), to.as_str())).collect()
    }
}

/// A table: rows are who asked, columns who answered.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.names.iter().map(String::len).max().unwrap_or(0);
        write!(f, "{:width$}", "")?;
        for name in &self.names {
            write!(f, "  {name:>width$}")?;
        }
        for (from, (name, row)) in self.names.iter().zip(&self.reached).enumerate() {
            write!(f, "\n{name:width$}")?;
            for (to, reached) in row.iter().enumerate() {
                let mark = if from == to {
                    "·"
                } else if *reached {
                    "yes"
                } else {
                    "-"
                };
                write!(f, "  {mark:>width$}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_who_reaches_whom() {
        let names = ["web", "db1"].map(str::to_owned).to_vec();
        let matrix = Matrix { names, reached: vec![vec![true, true], vec![false, true]] };
        assert_eq!(matrix.to_string(), "     web  db1\nweb    ·  yes\ndb1    -    ·");
        assert_eq!(matrix.unreached(), [("db1", "web")]);
        assert!(matrix.reached("web", "db1"));
    }
}
