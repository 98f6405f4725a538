//! What somebody who mistyped a name meant.

/// The one of `names` that `given` most likely is a misspelling of: the fewest characters
/// added, left out or changed, and not more than a third of them.
pub fn suggest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (distance(given, name), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance. O(n · m); what a person types is short.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (done, given) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for (column, wanted) in to.chars().enumerate() {
            let changed = diagonal + usize::from(given != wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_a_stranger_finds_none() {
        let names = ["serve", "secret", "check", "user", "token"];
        assert_eq!(suggest("sevre", names), Some("serve"));
        assert_eq!(suggest("tokens", names), Some("token"));
        assert_eq!(suggest("usr", names), Some("user"));
        assert_eq!(suggest("frobnicate", names), None);
        assert_eq!(suggest("", names), None);
    }

    #[test]
    fn the_distance_counts_characters_added_left_out_and_changed() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ä", "a"), 1);
    }
}
