//! Percent-encoding: foreign texts as parts of paths, queries and forms, so that no name leaves its place.

/// Writes a text with everything escaped but the unreserved characters of RFC 3986.
pub(in crate::sources) fn escape(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Writes names and values as the query of a URL, without its `?`, or as a form.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| format!("{}={}", escape(name), escape(value));
    pairs.iter().map(one).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_can_end_its_part_of_a_path_or_query() {
        assert_eq!(escape("../../secrets?x"), "..%2F..%2Fsecrets%3Fx");
        assert_eq!(escape("system:kube-scheduler"), "system%3Akube-scheduler");
        let query = [("query", "up{a=\"b\"} + 1"), ("time", "1.5")];
        assert_eq!(form(&query), "query=up%7Ba%3D%22b%22%7D%20%2B%201&time=1.5");
    }
}
