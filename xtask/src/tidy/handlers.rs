//! An HTTP handler extracts, calls one use case and answers: at most 20 lines of body.

use super::report::Report;
use super::tree::Tree;

const FOLDER: &str = "crates/staffa-http/src/";
const BODY_LINES_MAX: usize = 20;

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for file in tree.under(FOLDER).filter(|file| !file.is_test()) {
        for handler in handlers(file.product_text()) {
            if handler.body_lines > BODY_LINES_MAX {
                report.fail(format!(
                    "{}:{}: the handler has {} lines, at most {BODY_LINES_MAX}",
                    file.path, handler.line, handler.body_lines
                ));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Handler {
    /// Where it begins, counted from 1.
    line: usize,
    body_lines: usize,
}

/// The top-level async functions that extract the state. The source is formatted, so a top-level
/// item ends at the first brace that stands at the start of a line.
fn handlers(text: &str) -> Vec<Handler> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let end = at
            + lines[at..]
                .iter()
                .position(|line| line.starts_with('}'))
                .unwrap_or(0);
        if !is_async_function(lines[at]) || end == at {
            at += 1;
            continue;
        }
        let is_open = |line: &&str| line.trim_end().ends_with('{');
        let body = at + lines[at..end].iter().position(is_open).unwrap_or(0);
        if lines[at..=body].iter().any(|line| line.contains("State(")) {
            found.push(Handler {
                line: at + 1,
                body_lines: end - body - 1,
            });
        }
        at = end + 1;
    }
    found
}

fn is_async_function(line: &str) -> bool {
    line.starts_with("async fn ")
        || (line.starts_with("pub") && line.contains(" async fn ") && !line.contains(';'))
}

#[cfg(test)]
mod tests {
    use super::{Handler, handlers};

    const TEXT: &str = "\
pub(crate) async fn short(State(queries): State<Queries>) -> Response {
    one();
    two()
}

async fn helper(name: &str) {
    long();
}

pub async fn wrapped(
    State(commands): State<Commands>,
    body: Body,
) -> Result<Response, Problem> {
    if body.is_empty() {
        return Err(empty());
    }
    Ok(done())
}
";

    #[test]
    fn bodies_are_counted_without_their_signature() {
        let expected = [
            Handler {
                line: 1,
                body_lines: 2,
            },
            Handler {
                line: 10,
                body_lines: 4,
            },
        ];
        assert_eq!(handlers(TEXT), expected);
    }
}
