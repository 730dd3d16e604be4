//! Regular expressions as servers written in Go take them: anchored, and refused in Go's words.
//!
//! Prometheus, Alertmanager and Loki anchor label matchers and hand the words of Go's `regexp` package through to their
//! clients. What both engines accept means the same in both, but for `\d`, `\w` and `\s`, which here know all of
//! Unicode.

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{ErrorKind, Span};

/// Bytes that a compiled expression may take: far more than any label matcher needs.
const LARGEST: usize = 1 << 20;
/// Go's limit of a counted repetition.
const MOST: u32 = 1_000;

/// Compiles a label matcher's expression, which must match the whole value.
pub fn anchored(pattern: &str) -> Result<Regex, String> {
    compile(&format!("^(?:{pattern})$"))
}

/// Compiles an expression that may match anywhere.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let refused = |why: String| format!("error parsing regexp: {why}");
    if let Some(operator) = doubled(pattern) {
        return Err(refused(format!("invalid nested repetition operator: `{operator}`")));
    }
    if let Some(count) = too_often(pattern) {
        return Err(refused(format!("invalid repeat count: `{count}`")));
    }
    if let Err(error) = Parser::new().parse(pattern) {
        return Err(refused(words(pattern, error.kind(), error.span())));
    }
    RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => refused(format!("expression too large: `{pattern}`")),
        // Classes that only one of the engines knows.
        _ => refused(format!("invalid character class range: `{pattern}`")),
    })
}

/// Says what Go says about a mistake.
fn words(pattern: &str, kind: &ErrorKind, span: &Span) -> String {
    let (start, end) = (span.start.offset, span.end.offset);
    let marked = pattern.get(start..end).unwrap_or(pattern);
    let rest = pattern.get(start..).unwrap_or(pattern);
    match kind {
        ErrorKind::ClassUnclosed => format!("missing closing ]: `{rest}`"),
        ErrorKind::ClassRangeInvalid => format!("invalid character class range: `{marked}`"),
        ErrorKind::ClassRangeLiteral | ErrorKind::UnicodeClassInvalid => {
            format!("invalid character class range: `{marked}`")
        }
        ErrorKind::GroupUnclosed => format!("missing closing ): `{pattern}`"),
        ErrorKind::GroupUnopened => format!("unexpected ): `{pattern}`"),
        ErrorKind::GroupNameEmpty
        | ErrorKind::GroupNameInvalid
        | ErrorKind::GroupNameDuplicate { .. }
        | ErrorKind::GroupNameUnexpectedEof => {
            let group = pattern.get(..start).and_then(|before| before.rfind("(?")).unwrap_or(0);
            format!("invalid named capture: `{}`", pattern.get(group..).unwrap_or(pattern))
        }
        ErrorKind::EscapeUnexpectedEof => "trailing backslash at end of expression: ``".to_owned(),
        ErrorKind::RepetitionMissing => {
            // The span of the parser is empty, before the operator; one operator is one letter.
            let operator = pattern.get(end..).and_then(|rest| rest.chars().next());
            let operator =
                operator.filter(|_| marked.is_empty()).map_or_else(|| marked.to_owned(), String::from);
            format!("missing argument to repetition operator: `{operator}`")
        }
        ErrorKind::RepetitionCountInvalid
        | ErrorKind::RepetitionCountUnclosed
        | ErrorKind::RepetitionCountDecimalEmpty => format!("invalid repeat count: `{marked}`"),
        ErrorKind::UnsupportedLookAround => {
            format!("invalid or unsupported Perl syntax: `{}`", marked.get(..3).unwrap_or(marked))
        }
        ErrorKind::FlagUnrecognized | ErrorKind::FlagDanglingNegation | ErrorKind::FlagUnexpectedEof => {
            let group = pattern.get(..start).and_then(|before| before.rfind("(?")).unwrap_or(start);
            format!("invalid or unsupported Perl syntax: `{}`", pattern.get(group..end).unwrap_or(marked))
        }
        _ => format!("invalid escape sequence: `{marked}`"),
    }
}

/// Finds a repetition of a repetition, such as `x**`, which Go refuses.
fn doubled(pattern: &str) -> Option<String> {
    let (mut escaped, mut class, mut before) = (false, false, None::<char>);
    for letter in pattern.chars() {
        if escaped {
            (escaped, before) = (false, None);
            continue;
        }
        match letter {
            '\\' => (escaped, before) = (true, None),
            '[' => (class, before) = (true, None),
            ']' => (class, before) = (false, None),
            '*' | '+' if !class => match before {
                Some(first) => return Some(format!("{first}{letter}")),
                None => before = Some(letter),
            },
            _ => before = None,
        }
    }
    None
}

/// Finds a counted repetition above Go's limit.
fn too_often(pattern: &str) -> Option<&str> {
    pattern.match_indices('{').find_map(|(start, _)| {
        let end = start + pattern.get(start..)?.find('}')?;
        let counts = pattern.get(start + 1..end)?;
        let large = counts.split(',').any(|count| count.parse::<u32>().is_ok_and(|count| count > MOST));
        let numbers = counts.chars().all(|letter| letter.is_ascii_digit() || letter == ',');
        (large && numbers).then(|| pattern.get(start..=end)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Alertmanager 0.25 (Go 1.19) answered to `filter=a=~PATTERN`.
    const REFUSED: &[(&str, &str)] = &[
        ("[", "missing closing ]: `[)$`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(", "missing closing ): `^(?:()$`"),
        (")", "unexpected ): `^(?:))$`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("\\y", "invalid escape sequence: `\\y`"),
        ("(?=x)", "invalid or unsupported Perl syntax: `(?=`"),
        ("\\1", "invalid escape sequence: `\\1`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("x**", "invalid nested repetition operator: `**`"),
        ("\\", "missing closing ): `^(?:\\)$`"),
        ("(?P<n", "invalid named capture: `(?P<n)$`"),
    ];

    #[test]
    fn refusals_are_worded_as_go_words_them() {
        for (pattern, words) in REFUSED {
            let said = anchored(pattern).err();
            assert_eq!(said.as_deref(), Some(format!("error parsing regexp: {words}").as_str()), "{pattern}");
        }
    }

    #[test]
    fn an_anchored_expression_matches_the_whole_value() {
        let expression = anchored("a|bc").unwrap();
        assert!(expression.is_match("a") && expression.is_match("bc"));
        assert!(!expression.is_match("ac") && !expression.is_match("abc"));
    }
}
