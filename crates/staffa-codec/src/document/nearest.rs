//! The nearest valid word to a misspelt one.

/// `; did you mean x?` where some word is near, else nothing.
pub(crate) fn suggestion<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, valid) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    }
}

/// The word with the fewest edits, where those are few for its length.
fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer inputs are no misspelling, and the cost grows with the square of the length.
    if word.len() > 64 {
        return None;
    }
    let wanted: Vec<char> = word.to_lowercase().chars().collect();
    let most = wanted.len().div_ceil(3).clamp(1, 4);
    valid
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, without regard to case, in one row of memory.
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (index, c) in to.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (at, wanted) in from.iter().enumerate() {
            let substituted = diagonal + usize::from(*wanted != c.to_ascii_lowercase());
            diagonal = row[at + 1];
            row[at + 1] = substituted.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[from.len()]
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[track_caller]
    fn check(word: &str, expected: &str) {
        let valid = ["name", "type", "required", "minimum", "max_length"];
        assert_eq!(suggestion(word, valid), expected);
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        check("nmae", "; did you mean name?");
        check("nam", "; did you mean name?");
        check("Type", "; did you mean type?");
        check("maxlength", "; did you mean max_length?");
        check("minimun", "; did you mean minimum?");
        check("db_type", "; did you mean type?");
        check("colour", "");
        check(&"x".repeat(100_000), "");
    }
}
