//! How much memory a piece of work takes at its peak.
//!
//! Every allocation of the process is counted. So a figure is that of one piece of work only while nothing else runs:
//! whoever measures has the process to itself.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most memory that one input may take, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Whatever the input.
    pub base: usize,
    /// For each byte of the input.
    pub per_byte: usize,
}

impl Limit {
    /// The limit for an input of this length.
    pub fn of(self, length: usize) -> usize {
        self.base.saturating_add(self.per_byte.saturating_mul(length))
    }
}

/// Does the work, and says how many bytes it held at its peak, beyond what was held before.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let done = work();
    (done, ALLOCATOR.peak_usage().saturating_sub(before))
}
