//! Which properties tell the rows of a sample apart, alone or together.

use std::collections::HashSet;

use super::sample::{NO_PRINT, Sample};

/// The fewest rows of which being unique says anything.
const ROWS_MIN: usize = 10;
/// The most properties that are tried together with others.
const TRIED_MAX: usize = 12;
/// The most combinations that are told.
const TOLD_MAX: usize = 3;
/// The most rows that are looked at for combinations, each counted anew for each of them.
const STEPS_MAX: usize = 4_000_000;

/// The prints of a sample.
pub(super) struct Prints<'a> {
    sample: &'a Sample,
    /// What stands for null besides nothing.
    null: u64,
}

impl<'a> Prints<'a> {
    /// `null_word` is the one that is read as null.
    pub(super) fn new(sample: &'a Sample, null_word: Option<usize>) -> Self {
        Self {
            sample,
            null: null_word.map_or(NO_PRINT, |word| 1 + word as u64),
        }
    }

    pub(super) const fn rows(&self) -> usize {
        self.sample.printed
    }

    fn of(&self, at: usize) -> &[u64] {
        let prints = &self.sample.properties[at].prints;
        &prints[..prints.len().min(self.rows())]
    }

    fn is_null(&self, print: u64) -> bool {
        print == NO_PRINT || print == self.null
    }

    /// How many different values a property has, nulls aside.
    pub(super) fn distinct(&self, at: usize) -> usize {
        let mut prints = self.of(at).to_vec();
        prints.retain(|print| !self.is_null(*print));
        prints.sort_unstable();
        prints.dedup();
        prints.len()
    }

    /// Whether so many different values are one for each row.
    pub(super) const fn is_unique(&self, distinct: usize) -> bool {
        self.rows() >= ROWS_MIN && distinct == self.rows()
    }

    /// Pairs, or else triples, of these properties that are unique together. Each comes with
    /// how many different values it has, and is never null.
    pub(super) fn combinations(&self, properties: &[(usize, usize)]) -> Vec<Vec<usize>> {
        if self.rows() < ROWS_MIN {
            return Vec::new();
        }
        let mut tried = properties.to_vec();
        tried.sort_by_key(|(at, distinct)| (usize::MAX - distinct, *at));
        tried.truncate(TRIED_MAX);
        tried.sort_unstable();
        let mut steps = STEPS_MAX;
        let pairs = (0..tried.len()).flat_map(|a| (a + 1..tried.len()).map(move |b| vec![a, b]));
        let found = self.unique_of(&tried, pairs, &mut steps);
        if !found.is_empty() {
            return found;
        }
        let triples = (0..tried.len()).flat_map(|a| {
            let len = tried.len();
            (a + 1..len).flat_map(move |b| (b + 1..len).map(move |c| vec![a, b, c]))
        });
        self.unique_of(&tried, triples, &mut steps)
    }

    fn unique_of(
        &self,
        tried: &[(usize, usize)],
        groups: impl Iterator<Item = Vec<usize>>,
        steps: &mut usize,
    ) -> Vec<Vec<usize>> {
        let could_be = |group: &Vec<usize>| {
            let sizes = group.iter().map(|at| tried[*at].1);
            sizes.fold(1, usize::saturating_mul) >= self.rows()
        };
        let groups = groups.filter(could_be);
        let groups = groups.map(|group| group.iter().map(|at| tried[*at].0).collect());
        groups
            .filter(|group: &Vec<usize>| self.are_unique(group, steps))
            .take(TOLD_MAX)
            .collect()
    }

    fn are_unique(&self, group: &[usize], steps: &mut usize) -> bool {
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let prints: Vec<&[u64]> = group.iter().map(|at| self.of(*at)).collect();
        let mut seen = HashSet::new();
        for row in 0..self.rows() {
            let Some(left) = steps.checked_sub(1) else {
                return false;
            };
            *steps = left;
            let mut mixed = 0_u64;
            for prints in &prints {
                let print = prints.get(row).copied().unwrap_or(NO_PRINT);
                mixed = (mixed.rotate_left(29) ^ print).wrapping_mul(FACTOR);
            }
            if !seen.insert(mixed) {
                return false;
            }
        }
        true
    }
}
