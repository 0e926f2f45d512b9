//! Spelling: what is forgiven before the grammar is asked.
//!
//! Dashes and underscores are the same in the names of flags, and a truth value may follow its flag as a word of its
//! own, both as in the original. Commands have their underscores as aliases, prefixes and suggestions are the
//! grammar's.

use std::ffi::OsString;

/// The words with flags as the grammar spells them.
pub(crate) fn normalize(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut normal: Vec<OsString> = Vec::new();
    let mut verbatim = false;
    for word in words {
        let Some(text) = word.to_str().filter(|_| !verbatim) else {
            normal.push(word);
            continue;
        };
        verbatim = text == "--";
        match normal.last_mut().filter(|last| matches!(text, "true" | "false") && is_bare_flag(last)) {
            // A flag that takes a value takes the same one this way.
            Some(flag) => flag.push(format!("={text}")),
            None => normal.push(flag_with_dashes(text).into()),
        }
    }
    normal
}

fn is_bare_flag(word: &OsString) -> bool {
    word.to_str().is_some_and(|text| text.len() > 2 && text.starts_with("--") && !text.contains('='))
}

fn flag_with_dashes(text: &str) -> String {
    let Some(flag) = text.strip_prefix("--") else { return text.to_owned() };
    match flag.split_once('=') {
        Some((name, value)) => format!("--{}={value}", name.replace('_', "-")),
        None => format!("--{}", flag.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, expected: &str) {
        let normal = normalize(words.split(' ').map(OsString::from));
        assert_eq!(normal, expected.split(' ').map(OsString::from).collect::<Vec<_>>(), "{words}");
    }

    #[test]
    fn underscores_become_dashes_in_names_of_flags_and_stay_in_values() {
        check("a_b --network_uuid nw_x", "a_b --network-uuid nw_x");
        check("--display_name=a_b", "--display-name=a_b");
        check("x -- --a_b", "x -- --a_b");
    }

    #[test]
    fn a_truth_value_joins_the_flag_before_it() {
        check("--enable_routing true if-x", "--enable-routing=true if-x");
        check("--enable-routing false", "--enable-routing=false");
        check("--enable-routing if-x", "--enable-routing if-x");
        check("--a=b true", "--a=b true");
        check("-- true", "-- true");
    }
}
