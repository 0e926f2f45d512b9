//! `learn(…)` (ovs-actions(7)).

use std::fmt;

use super::Separated;
use super::values::Masked;
use crate::{Cookie, Learn, LearnSource, LearnSpec, SubField};

impl fmt::Display for Learn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![format!("table={}", self.table)];
        let timeouts = [
            ("idle_timeout", self.idle_timeout),
            ("hard_timeout", self.hard_timeout),
            ("fin_idle_timeout", self.fin_idle_timeout),
            ("fin_hard_timeout", self.fin_hard_timeout),
        ];
        let set = timeouts.into_iter().filter(|(_, seconds)| *seconds != 0);
        parts.extend(set.map(|(name, seconds)| format!("{name}={seconds}")));
        parts.push(format!("priority={}", self.priority));
        if self.send_flow_removed {
            parts.push("send_flow_rem".to_owned());
        }
        if self.delete_learned {
            parts.push("delete_learned".to_owned());
        }
        if self.cookie != Cookie(0) {
            parts.push(format!("cookie={}", self.cookie));
        }
        if let Some(limit) = self.limit {
            parts.push(format!("limit={}", limit.flows));
            parts.extend(limit.result.map(|field| format!("result_dst={field}")));
        }
        parts.extend(self.specs.iter().map(ToString::to_string));
        write!(f, "learn({})", Separated(&parts, ","))
    }
}

impl fmt::Display for LearnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Match { source: LearnSource::Field(source), destination } => {
                if source == destination {
                    write!(f, "{destination}")
                } else {
                    write!(f, "{destination}={source}")
                }
            }
            Self::Match { source: LearnSource::Constant { value, .. }, destination } => {
                write!(f, "{}={}", name(destination), constant(destination, value.0))
            }
            Self::Load { source: LearnSource::Field(source), destination } => {
                write!(f, "load:{source}->{destination}")
            }
            Self::Load { source: LearnSource::Constant { value, .. }, destination } => {
                write!(f, "load:{:#x}->{destination}", value.0)
            }
            Self::Output(source) => write!(f, "output:{source}"),
        }
    }
}

fn is_whole(part: SubField) -> bool {
    part == SubField::whole(part.field)
}

fn name(part: SubField) -> String {
    if is_whole(part) { part.field.to_string() } else { part.to_string() }
}

fn constant(part: SubField, value: u128) -> String {
    if is_whole(part) {
        Masked { field: part.field, value, mask: part.field.ones() }.to_string()
    } else {
        format!("{value:#x}")
    }
}
