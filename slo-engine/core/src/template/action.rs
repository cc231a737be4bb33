//! One action, from `{{` to `}}`.

use super::Problem;

/// What Go's template language calls space.
pub(super) const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// What an action does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    /// It prints the window; otherwise it is a comment.
    pub(super) is_window: bool,
    /// `{{- `: white space before it goes.
    pub(super) trims_before: bool,
    /// ` -}}`: white space after it goes.
    pub(super) trims_after: bool,
}

/// A problem and the length of the action that has it.
type Refused = (Problem, usize);

impl Action {
    /// Reads the action at the start of `text`, and what follows it.
    pub(super) fn read(text: &str) -> Result<(Self, &str), Refused> {
        let inside = text.strip_prefix("{{").unwrap_or(text);
        let trimmed = inside.strip_prefix('-').and_then(|inside| inside.strip_prefix(SPACE));
        let trims_before = trimmed.is_some();
        let body = trimmed.unwrap_or(inside);

        let (is_window, rest) = match body.strip_prefix("/*") {
            Some(comment) => (false, skip_comment(text, comment)?),
            None => (true, skip_window(body).map_err(|problem| refuse(text, problem))?),
        };
        let (trims_after, after) = match close(rest) {
            Some(closed) => closed,
            None if is_window => return Err(refuse(text, Problem::Unknown)),
            None => return Err(refuse(text, Problem::CommentWithMore)),
        };
        Ok((Self { is_window, trims_before, trims_after }, after))
    }
}

/// Blames the action up to its closing braces. Braces inside a string of an unknown action may fool it; the message is
/// then shorter, not wrong.
fn refuse(text: &str, problem: Problem) -> Refused {
    match text.find("}}") {
        Some(end) => (problem, end + 2),
        None => (Problem::Unclosed, text.len()),
    }
}

fn skip_comment<'a>(text: &str, comment: &'a str) -> Result<&'a str, Refused> {
    match comment.split_once("*/") {
        Some((_, rest)) => Ok(rest),
        None => Err((Problem::UnclosedComment, text.len())),
    }
}

/// `}}` or ` -}}`, with exactly one white space before the marker.
fn close(text: &str) -> Option<(bool, &str)> {
    if let Some(after) = text.strip_prefix("}}") {
        return Some((false, after));
    }
    let after = text.strip_prefix(SPACE)?.strip_prefix("-}}")?;
    Some((true, after))
}

/// What a part of a pipeline is so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// The whole data: `.` or `$`.
    Data,
    /// Its only key.
    Window,
}

/// Reads an expression that yields the window, up to the closing braces.
///
/// One value per open parenthesis. A field binds to what stands directly before it (`$.window`, `(.).window`), not to a
/// bare dot (`..window`) and not across white space, where it would be an argument.
fn skip_window(body: &str) -> Result<&str, Problem> {
    let mut open: Vec<Option<Value>> = Vec::new();
    let mut value: Option<Value> = None;
    let mut takes_field = false;
    let mut rest = body;
    loop {
        if open.is_empty() && close(rest).is_some() {
            return match value {
                Some(Value::Window) => Ok(rest),
                Some(Value::Data) => Err(Problem::Unknown),
                None => Err(Problem::Empty),
            };
        }
        if let Some(after) = rest.strip_prefix(SPACE) {
            takes_field = false;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('(') {
            if value.is_some() {
                return Err(Problem::Unknown);
            }
            open.push(value.take());
            takes_field = false;
            rest = after;
        } else if let Some(after) = rest.strip_prefix(')') {
            if value.is_none() || open.pop().is_none() {
                return Err(Problem::Unknown);
            }
            takes_field = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix(".window").filter(|after| ends_word(after)) {
            let bound = takes_field && value == Some(Value::Data);
            if value.is_some() && !bound {
                return Err(Problem::Unknown);
            }
            value = Some(Value::Window);
            takes_field = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix(['.', '$']).filter(|after| ends_word(after)) {
            if value.is_some() {
                return Err(Problem::Unknown);
            }
            value = Some(Value::Data);
            takes_field = rest.starts_with('$');
            rest = after;
        } else {
            return Err(Problem::Unknown);
        }
    }
}

/// Whether a name may end here.
fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(SPACE) || rest.starts_with(['.', ')', '(']) || rest.starts_with("}}")
}
