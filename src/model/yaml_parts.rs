//! The parts of a YAML file, by their lines: what of a file that several Applications share belongs to one of them,
//! and how that part is put back or copied without touching another line.
//!
//! It works on lines, so that comments, order and quoting of everything else stay as people wrote them. It reads
//! block mappings, which is how values and version files are written; a file that is anything else is not
//! understood, and the caller takes it whole. Nothing here knows git or Argo CD.

use std::ops::Range;

/// Keys that say a version wherever they stand.
const VERSIONS: [&str; 8] =
    ["version", "tag", "imageTag", "image_tag", "appVersion", "newTag", "digest", "targetRevision"];

/// A key of a block mapping and the lines that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    key: String,
    indent: usize,
    lines: Range<usize>,
    children: Vec<Node>,
}

/// What becomes of a file when a part of it is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The text of the file afterwards.
    pub text: String,
    /// The keys that change, such as `apps.checkout.version`.
    pub changed: Vec<String>,
    /// The keys that differ too and belong to somebody else.
    pub left: Vec<String>,
}

/// Tells whether a mapping in the file has a key of its own for one of these names beside keys of others.
pub fn is_divided(text: &str, names: &[String]) -> bool {
    fn divided(nodes: &[Node], names: &[String]) -> bool {
        holds(nodes, names) || nodes.iter().any(|node| divided(&node.children, names))
    }
    read(text).is_some_and(|nodes| divided(&nodes, names))
}

/// Puts the part of `names` back to what it was in `then`; where nothing is divided by names, every difference.
///
/// `None` where one of the texts is not understood, or the part cannot be found again.
pub fn put_back(now: &str, then: &str, names: &[String]) -> Option<Edited> {
    edit(now, then, names, names, |_| true)
}

/// Copies the version of `names` in `from` to the part of `own` in `to`; with `whole`, everything of that part.
///
/// `None` where one of the texts is not understood.
pub fn copy_version(to: &str, from: &str, own: &[String], names: &[String], whole: bool) -> Option<Edited> {
    edit(to, from, own, names, |key| whole || VERSIONS.contains(&key))
}

/// Says which keys of somebody else, and of nobody in particular, differ between two states of a file.
pub fn differing(now: &str, then: &str, names: &[String]) -> Option<(Vec<String>, Vec<String>)> {
    let edited = put_back(now, then, names)?;
    Some((edited.changed, edited.left))
}

struct Work<'a> {
    now: Vec<&'a str>,
    then: Vec<&'a str>,
    /// Lines of `now` and what stands in their place.
    edits: Vec<(Range<usize>, Vec<String>)>,
    changed: Vec<String>,
    left: Vec<String>,
}

fn edit(
    now: &str,
    then: &str,
    own: &[String],
    theirs: &[String],
    wanted: impl Fn(&str) -> bool + Copy,
) -> Option<Edited> {
    let (nodes, others) = (read(now)?, read(then)?);
    let mut work = Work {
        now: now.lines().collect(),
        then: then.lines().collect(),
        edits: Vec::new(),
        changed: Vec::new(),
        left: Vec::new(),
    };
    let end = work.now.len();
    walk(&mut work, "", (&nodes, &others), (own, theirs), wanted, end);
    let mut lines: Vec<String> = work.now.iter().map(|line| (*line).to_owned()).collect();
    work.edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, with) in work.edits {
        lines.splice(range, with);
    }
    let mut text = lines.join("\n");
    if now.ends_with('\n') || now.is_empty() {
        text.push('\n');
    }
    Some(Edited { text, changed: work.changed, left: work.left })
}

/// Compares two mappings; of one that is divided by names only the part of ours.
fn walk(
    work: &mut Work<'_>,
    path: &str,
    (now, then): (&[Node], &[Node]),
    (own, theirs): (&[String], &[String]),
    wanted: impl Fn(&str) -> bool + Copy,
    end: usize,
) {
    let divided = holds(now, own) || holds(then, theirs);
    let is_ours = |key: &str| own.iter().any(|name| name == key);
    let of = |node: &Node| -> Option<&Node> {
        let same = then.iter().find(|other| other.key == node.key);
        // The same thing may have another name in the other file, where the names are the environment's.
        same.or_else(|| {
            (divided && is_ours(&node.key))
                .then(|| then.iter().find(|other| theirs.contains(&other.key)))
                .flatten()
        })
    };
    for node in now {
        let inner = join(path, &node.key);
        let other = of(node);
        let differs = other.is_none_or(|other| text_of(&work.now, node) != text_of(&work.then, other));
        if !differs {
            continue;
        }
        if divided && !is_ours(&node.key) {
            work.left.push(inner);
            continue;
        }
        match other {
            Some(other) if !node.children.is_empty() && !other.children.is_empty() => {
                let (own, theirs): (&[String], &[String]) = if divided { (&[], &[]) } else { (own, theirs) };
                walk(work, &inner, (&node.children, &other.children), (own, theirs), wanted, node.lines.end);
            }
            _ if !wanted(&node.key) => {}
            Some(other) => {
                work.changed.push(inner);
                let with = moved(&work.then[other.lines.clone()], other.indent, node.indent);
                work.edits.push((node.lines.clone(), with));
            }
            None if wanted("") || VERSIONS.contains(&node.key.as_str()) => {
                work.changed.push(inner);
                work.edits.push((node.lines.clone(), Vec::new()));
            }
            None => {}
        }
    }
    let known = |other: &Node| now.iter().any(|node| of(node) == Some(other));
    for other in then.iter().filter(|other| !known(other)) {
        let inner = join(path, &other.key);
        let ours = theirs.contains(&other.key);
        if divided && !ours {
            work.left.push(inner);
        } else if wanted(&other.key) {
            let (at, indent) = now.last().map_or((end, other.indent), |last| (last.lines.end, last.indent));
            work.changed.push(inner);
            let with = moved(&work.then[other.lines.clone()], other.indent, indent);
            work.edits.push((at..at, with));
        }
    }
}

/// Tells whether a mapping has a key for one of the names, and others beside it.
fn holds(nodes: &[Node], names: &[String]) -> bool {
    nodes.len() > 1 && nodes.iter().any(|node| names.contains(&node.key))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn text_of<'a>(lines: &'a [&'a str], node: &Node) -> Vec<&'a str> {
    lines[node.lines.clone()].iter().map(|line| line.get(node.indent..).unwrap_or("").trim_end()).collect()
}

/// Returns lines with another indentation.
fn moved(lines: &[&str], from: usize, to: usize) -> Vec<String> {
    lines
        .iter()
        .map(|line| match line.get(from..) {
            _ if line.trim().is_empty() => String::new(),
            Some(rest) if indent_of(line) >= from => format!("{}{rest}", " ".repeat(to)),
            // A comment that stands further left than what it is about.
            _ => (*line).to_owned(),
        })
        .collect()
}

/// Reads the block mappings of one document.
fn read(text: &str) -> Option<Vec<Node>> {
    let lines: Vec<&str> = text.lines().collect();
    let documents = lines.iter().skip(1).filter(|line| line.trim_end() == "---").count();
    if documents > 0 && lines.iter().take_while(|line| line.trim_end() != "---").any(|line| !is_silent(line))
    {
        return None;
    }
    let (nodes, end) = mapping(&lines, 0, None)?;
    (end == lines.len()).then_some(nodes)
}

/// Tells whether a line says nothing: blank, a comment, the start of the document.
fn is_silent(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#') || text == "---"
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Reads one mapping from a line on: its nodes, and the line after it. `None` where it is no block mapping.
fn mapping(lines: &[&str], from: usize, within: Option<usize>) -> Option<(Vec<Node>, usize)> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut indent = None;
    let mut at = from;
    while let Some(line) = lines.get(at) {
        if is_silent(line) {
            at += 1;
            continue;
        }
        let here = indent_of(line);
        if within.is_some_and(|within| here <= within) {
            break;
        }
        if *indent.get_or_insert(here) != here || line.contains('\t') {
            return None;
        }
        let (key, value) = key_of(&line[here..])?;
        let (end, children) = body(lines, at, here, value);
        nodes.push(Node { key, indent: here, lines: at..end, children });
        at = end;
    }
    Some((nodes, at))
}

/// Reads what belongs to a key: the line after its last one, and its children where it is a mapping.
fn body(lines: &[&str], key: usize, indent: usize, value: &str) -> (usize, Vec<Node>) {
    let mut end = key + 1;
    for (at, line) in lines.iter().enumerate().skip(key + 1) {
        let text = line.trim();
        if text.is_empty() || (text.starts_with('#') && indent_of(line) <= indent) {
            continue;
        }
        // A list may stand at the indentation of its key.
        let listed = indent_of(line) == indent && (text.starts_with("- ") || text == "-");
        if indent_of(line) <= indent && !listed {
            break;
        }
        end = at + 1;
    }
    let children = if value.is_empty() || value.starts_with('#') {
        match mapping(lines.get(..end).unwrap_or(lines), key + 1, Some(indent)) {
            Some((nodes, at)) if at == end => nodes,
            _ => Vec::new(),
        }
    } else {
        Vec::new()
    };
    (end, children)
}

/// Splits `key: value`; quotes around the key go.
fn key_of(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['-', '{', '[', '&', '*', '!', '|', '>', '?', '%', '@']) {
        return None;
    }
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            let (key, rest) = rest.split_once(quote)?;
            return Some((key.to_owned(), rest.trim_start().strip_prefix(':')?.trim()));
        }
    }
    let at = text.match_indices(':').map(|(at, _)| at).find(|at| {
        let rest = &text[at + 1..];
        rest.is_empty() || rest.starts_with(' ')
    })?;
    Some((text[..at].trim_end().to_owned(), text[at + 1..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const NOW: &str = "# Written by CI.\napps:\n  cart:\n    version: \"2.1.0\" # newest\n  checkout:\n    version: \"1.8.0\"\n    config:\n      FEATURE_SET: \"1.8\"\n\n  web:\n    version: \"3.0.0\"\n";
    const THEN: &str = "# Written by CI.\napps:\n  cart:\n    version: \"2.0.0\" # newest\n  checkout:\n    version: \"1.7.4\"\n    config:\n      FEATURE_SET: \"1.7\"\n\n  web:\n    version: \"3.0.0\"\n";

    #[test]
    fn only_the_part_of_the_name_goes_back_and_every_other_line_stays() {
        let edited = put_back(NOW, THEN, &names(&["checkout"])).unwrap();
        assert_eq!(edited.text, NOW.replace("\"1.8.0\"", "\"1.7.4\"").replace("\"1.8\"", "\"1.7\""));
        assert_eq!(edited.changed, ["apps.checkout.version", "apps.checkout.config.FEATURE_SET"]);
        assert_eq!(edited.left, ["apps.cart"]);
        assert!(is_divided(NOW, &names(&["checkout"])) && !is_divided(NOW, &names(&["search"])));
    }

    #[test]
    fn a_file_that_nobody_divides_goes_back_whole() {
        let edited = put_back(NOW, THEN, &names(&["search"])).unwrap();
        assert_eq!(edited.text, THEN);
        assert!(edited.left.is_empty());
    }

    #[test]
    fn keys_come_and_go_with_their_lines() {
        let then = "a:\n  one: 1\n  two:\n    - x\n    - y\nb: 2\n";
        let now = "a:\n  one: 1\n  three: |\n    text: no key\n\n    more\n# about b\nb: 2\n";
        let edited = put_back(now, then, &[]).unwrap();
        assert_eq!(edited.text, "a:\n  one: 1\n  two:\n    - x\n    - y\n# about b\nb: 2\n");
        assert_eq!(edited.changed, ["a.three", "a.two"]);
        assert_eq!(
            put_back(then, now, &[]).unwrap().text.trim_end(),
            "a:\n  one: 1\n  three: |\n    text: no key\n\n    more\nb: 2"
        );
    }

    #[test]
    fn a_list_at_the_indentation_of_its_key_belongs_to_it() {
        let now = "images:\n- name: web\n  newTag: \"2\"\nresources:\n- ../base\n";
        let then = "images:\n- name: web\n  newTag: \"1\"\nresources:\n- ../base\n";
        let edited = put_back(now, then, &[]).unwrap();
        assert_eq!((edited.text.as_str(), edited.changed), (then, names(&["images"])));
    }

    #[test]
    fn what_is_no_block_mapping_is_not_understood() {
        for text in ["- a\n- b\n", "a: 1\n---\nb: 2\n", "{a: 1}\n", "a:\n\tb: 1\n", "  a: 1\n b: 2\n"] {
            assert_eq!(put_back(text, "a: 1\n", &[]), None, "{text:?}");
        }
    }

    #[test]
    fn a_promotion_copies_the_version_and_leaves_what_is_of_the_environment() {
        let staging = "replicas: 1\nimage:\n  repository: registry.example.com/staging/web\n  tag: \"2.0.0-rc.1\"\nlogLevel: debug\n";
        let prod = "replicas: 6\nimage:\n  repository: registry.example.com/web\n  tag: \"1.9.3\" # by CI\nlogLevel: info\n";
        let edited = copy_version(prod, staging, &[], &[], false).unwrap();
        assert_eq!(edited.text, prod.replace("tag: \"1.9.3\" # by CI", "tag: \"2.0.0-rc.1\""));
        assert_eq!(edited.changed, ["image.tag"]);
    }

    #[test]
    fn a_promotion_of_a_version_file_takes_the_whole_part_of_the_application_alone() {
        let edited = copy_version(THEN, NOW, &names(&["checkout"]), &names(&["checkout"]), true).unwrap();
        assert_eq!(edited.changed, ["apps.checkout.version", "apps.checkout.config.FEATURE_SET"]);
        assert!(edited.text.contains("2.0.0") && edited.text.contains("1.8.0"));
    }
}
