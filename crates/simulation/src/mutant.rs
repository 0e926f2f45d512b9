//! Mutants: bugs put in on purpose, to show that the simulation would find them.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// An agent passes over what an update holds, and believes to have it.
    DeltaIgnored,
    /// An agent applies two updates in the wrong order.
    DeltasSwapped,
    /// An agent resumes from a revision that it does not have.
    ResumeMissed,
    /// A port that is gone is still reported.
    ClaimKept,
    /// An agent takes what it said of ports on an earlier stream for said.
    ReportAssumed,
    /// An agent reports a revision when it hears of it, not when its switch has it.
    RealizedEarly,
    /// An agent takes its replica from disk for the manager's newest word.
    DiskTrusted,
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 7] = [
        Self::DeltaIgnored,
        Self::DeltasSwapped,
        Self::ResumeMissed,
        Self::ClaimKept,
        Self::ReportAssumed,
        Self::RealizedEarly,
        Self::DiskTrusted,
    ];
}
