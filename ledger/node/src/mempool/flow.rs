//! How many transactions became final in the last while.

use std::collections::VecDeque;

/// Steps that the while is divided into: blocks of one step are counted together.
const STEPS: u64 = 16;

/// A sum over a sliding window of time. It moves with every block, and idle networks make blocks too.
#[derive(Debug)]
pub(super) struct Flow {
    step_ms: u64,
    /// Step and count, ascending.
    counts: VecDeque<(u64, usize)>,
    sum: usize,
}

impl Flow {
    /// Nothing yet, in a window of this length.
    pub(super) fn new(window_ms: u64) -> Self {
        Self { step_ms: (window_ms / STEPS).max(1), counts: VecDeque::new(), sum: 0 }
    }

    /// Takes note of a block. Time that goes back counts as the newest there was.
    pub(super) fn add(&mut self, count: usize, now_ms: u64) {
        let newest = self.counts.back().map_or(0, |(step, _)| *step);
        let step = (now_ms / self.step_ms).max(newest);
        match self.counts.back_mut() {
            Some((last, sum)) if *last == step => *sum = sum.saturating_add(count),
            _ => self.counts.push_back((step, count)),
        }
        self.sum = self.sum.saturating_add(count);
        while let Some((oldest, count)) = self.counts.front().copied()
            && oldest.saturating_add(STEPS) <= step
        {
            self.counts.pop_front();
            self.sum = self.sum.saturating_sub(count);
        }
    }

    /// How many there were in the window that ended with the newest block.
    pub(super) fn sum(&self) -> usize {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_last_while() {
        let mut flow = Flow::new(4_000);
        for block in 0..100 {
            flow.add(50, 10_000 + block * 100);
        }
        // Ten blocks a second, and four seconds of them: the step under way is not whole.
        assert!((1_850..=2_000).contains(&flow.sum()), "{}", flow.sum());
        flow.add(0, 21_900);
        assert!((500..=1_100).contains(&flow.sum()), "{}", flow.sum());
        flow.add(0, 60_000);
        assert_eq!(flow.sum(), 0);
        assert!(flow.counts.len() <= 17);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut flow = Flow::new(4_000);
        flow.add(7, 10_000);
        flow.add(3, 2_000);
        assert_eq!(flow.sum(), 10);
        flow.add(1, 10_100);
        assert_eq!(flow.sum(), 11);
    }
}
