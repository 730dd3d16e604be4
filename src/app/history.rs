//! The views: a stack that `esc` takes down, and a history that goes back and forward.

use crate::app::application::Application;
use crate::app::detail::Detail;
use crate::app::logs::Logs;
use crate::app::overview::Overview;
use crate::app::table::Table;
use crate::app::viewport::Viewport;

/// One view with all that it remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// Tenants and changes.
    Overview(Overview),
    /// The table of a kind.
    Table(Table),
    /// One object.
    Detail(Detail),
    /// One Application.
    Application(Application),
    /// Logs.
    Logs(Logs),
    /// The actions of this session; the selected one is shown whole.
    Actions(Viewport),
    /// Sources, requests, versions, files; the number is the first visible line.
    Info(Viewport),
}
