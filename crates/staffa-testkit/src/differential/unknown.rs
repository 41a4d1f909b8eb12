//! Where a tree of conditions is unknown, as another tree that never is.

use staffa_domain::Filter;
use staffa_domain::query::Test;

/// A tree that is true where the given one is unknown, and false elsewhere.
pub(super) fn unknown(filter: &Filter) -> Filter {
    match filter {
        Filter::Condition(leaf) if leaf.test == Test::IsNull => Filter::Or(Vec::new()),
        Filter::Condition(leaf) => Filter::condition(leaf.field, Test::IsNull),
        Filter::Not(part) => unknown(part),
        // A part that is false decides it, else one that is unknown.
        Filter::And(parts) => undecided(parts, Filter::clone),
        Filter::Or(parts) => undecided(parts, |part| Filter::Not(Box::new(part.clone()))),
    }
}

/// Whether a part is unknown and all others are so too, or such as does not decide.
fn undecided(parts: &[Filter], indecisive: impl Fn(&Filter) -> Filter) -> Filter {
    let some = Filter::Or(parts.iter().map(unknown).collect());
    let each = parts.iter();
    let each = each.map(|part| Filter::Or(vec![unknown(part), indecisive(part)]));
    Filter::And(each.chain([some]).collect())
}

#[cfg(test)]
mod tests {
    use super::unknown;
    use crate::differential::Random;
    use crate::eval::truth;
    use crate::record::Record;
    use crate::schemas::all_types;
    use crate::{builders::CREATED, nth_id, strategies};

    #[test]
    fn it_is_true_exactly_where_the_tree_is_unknown() {
        let schema = all_types();
        let mut random = Random::new(1);
        let (filters, rows) = (strategies::filter(&schema), strategies::row(&schema));
        let mut found = 0;
        for n in 0..2_000 {
            let (filter, values) = (random.next(&filters), random.next(&rows));
            let record = Record {
                id: nth_id(n),
                created_at: CREATED,
                updated_at: CREATED,
                version: 1,
                values,
            };
            let is_unknown = truth(&filter, &record).is_none();
            assert_eq!(
                truth(&unknown(&filter), &record),
                Some(is_unknown),
                "{filter:?}"
            );
            found += u32::from(is_unknown);
        }
        assert!(found > 100, "only {found} were unknown");
    }
}
