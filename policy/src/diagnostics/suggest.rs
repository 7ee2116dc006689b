// SPDX-License-Identifier: Apache-2.0
//! The name that was probably meant.

/// Longer names are not compared: nobody mistypes them by two letters, and the
/// comparison costs the product of the lengths.
const LONGEST: usize = 64;

/// The candidate nearest to `name` by edit distance, if one is near: at most a
/// third of the letters differ. Of equally near candidates the first is taken.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_ascii_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let limit = wanted.len().max(candidate.len()).max(3) / 3;
        let distance = strsim::osa_distance(&wanted, &candidate.to_ascii_lowercase());
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposition_and_a_wrong_case_are_near_and_another_word_is_not() {
        let names = ["@keyring", "@mount", "@debug"];
        assert_eq!(nearest("@keyrign", names), Some("@keyring"));
        assert_eq!(nearest("@MOUNT", names), Some("@mount"));
        assert_eq!(nearest("@network-io", names), None);
        assert_eq!(nearest("", names), None);
    }

    #[test]
    fn a_very_long_name_is_not_compared() {
        assert_eq!(nearest(&"x".repeat(1 << 20), ["x"]), None);
    }
}
