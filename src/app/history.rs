//! The views: where one has been, where one came from, and the way back and forward.
//!
//! `esc` goes to the view from which the present one was opened; history back and forward go through all views
//! in the order in which they were opened, as a browser does. A view remembers its selection and filter.

use crate::app::application::Application;
use crate::app::board::BoardView;
use crate::app::detail::Detail;
use crate::app::explore::Explore;
use crate::app::overview::Overview;
use crate::app::table::Table;
use crate::app::viewport::Viewport;

/// How many views are remembered; the ones opened first are forgotten first.
const REMEMBERED: usize = 64;

/// One view with all that it remembers.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are at most 64, and most are tables")]
pub enum View {
    /// Tenants and changes.
    Overview(Overview),
    /// The table of a kind.
    Table(Table),
    /// One object.
    Detail(Detail),
    /// One Application.
    Application(Application),
    /// Log lines, of Loki or of pods.
    Explore(Box<Explore>),
    /// A board, or the prompt for expressions.
    Board(BoardView),
    /// The list of boards; the selected one can be opened.
    Boards(Viewport),
    /// The actions of this session; the selected one is shown whole.
    Actions(Viewport),
    /// Sources, requests, versions, files; the number is the first visible line.
    Info(Viewport),
}

#[derive(Debug)]
struct Visit {
    view: View,
    /// From which view it was opened.
    from: Option<usize>,
}

/// The views one has been in; there is always one, and the first is the overview.
#[derive(Debug)]
pub struct Views {
    visits: Vec<Visit>,
    at: usize,
    /// The view before this one, whichever way one left it.
    before: Option<usize>,
}

impl Default for Views {
    fn default() -> Self {
        Self::new(View::Overview(Overview::default()))
    }
}

impl Views {
    /// Begins with a view.
    pub fn new(view: View) -> Self {
        Self { visits: vec![Visit { view, from: None }], at: 0, before: None }
    }

    /// Returns the view that is shown. (An option only because it reads like a stack; it is always there.)
    pub fn last(&self) -> Option<&View> {
        self.visits.get(self.at).map(|visit| &visit.view)
    }

    /// Returns the view that is shown, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut View> {
        self.visits.get_mut(self.at).map(|visit| &mut visit.view)
    }

    /// Returns the views from the first down to the one that is shown.
    pub fn iter(&self) -> impl Iterator<Item = &View> {
        let mut chain = Vec::new();
        let mut next = Some(self.at);
        while let Some(visit) = next.and_then(|at| self.visits.get(at)) {
            chain.push(&visit.view);
            next = visit.from;
        }
        chain.into_iter().rev()
    }

    /// Opens a view from the one that is shown; what lay ahead in the history is forgotten.
    pub fn open(&mut self, view: View) {
        self.push(view, Some(self.at));
    }

    /// Opens a view as a new beginning: `esc` leads from it to the first view.
    pub fn start(&mut self, view: View) {
        self.push(view, Some(0));
    }

    fn push(&mut self, view: View, from: Option<usize>) {
        self.visits.truncate(self.at + 1);
        self.visits.push(Visit { view, from });
        self.before = Some(self.at);
        self.at = self.visits.len() - 1;
        if self.visits.len() > REMEMBERED {
            self.forget(1);
        }
        self.rest();
    }

    /// Forgets a view; those opened from it count as opened from where it was opened.
    fn forget(&mut self, gone: usize) {
        let heir = self.visits.remove(gone).from;
        let moved = |at: usize| if at > gone { at - 1 } else { at };
        for visit in &mut self.visits {
            visit.from = match visit.from {
                Some(from) if from == gone => heir,
                from => from.map(moved),
            };
        }
        self.at = moved(self.at);
        self.before = self.before.filter(|before| *before != gone).map(moved);
    }

    /// Lets go of the rows of tables that are neither shown nor one key away.
    fn rest(&mut self) {
        let (at, before) = (self.at, self.before);
        for (index, visit) in self.visits.iter_mut().enumerate() {
            if let View::Table(table) = &mut visit.view
                && index != at
                && Some(index) != before
            {
                table.rest();
            }
        }
    }

    fn go(&mut self, to: usize) -> bool {
        if to == self.at || to >= self.visits.len() {
            return false;
        }
        self.before = Some(self.at);
        self.at = to;
        self.rest();
        true
    }

    /// Tells whether there is a view to leave to, one back in the history, and one forward.
    pub fn ways(&self) -> (bool, bool, bool) {
        let from = self.visits.get(self.at).is_some_and(|visit| visit.from.is_some());
        (from, self.at > 0, self.at + 1 < self.visits.len())
    }

    /// Returns to where the present view was opened from; tells whether there is such a place.
    pub fn leave(&mut self) -> bool {
        match self.visits.get(self.at).and_then(|visit| visit.from) {
            Some(from) => self.go(from),
            None => false,
        }
    }

    /// Goes back in the history.
    pub fn back(&mut self) -> bool {
        self.at > 0 && self.go(self.at - 1)
    }

    /// Goes forward in the history.
    pub fn forward(&mut self) -> bool {
        self.go(self.at + 1)
    }

    /// Goes to the view before this one, whichever way one left it.
    pub fn swap(&mut self) -> bool {
        self.before.is_some_and(|before| self.go(before))
    }

    /// Returns the view before this one, if it is another.
    pub fn previous(&self) -> Option<&View> {
        self.before.and_then(|before| self.visits.get(before)).map(|visit| &visit.view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Resource;

    fn table(plural: &str) -> View {
        View::Table(Table::new(Resource::new("", plural)))
    }

    fn here(views: &Views) -> String {
        let name = |view: &View| match view {
            View::Table(table) => table.resource.plural.to_string(),
            _ => "overview".to_owned(),
        };
        views.iter().map(name).collect::<Vec<_>>().join(" > ")
    }

    #[test]
    fn leaving_returns_to_where_one_came_from_and_forward_goes_there_again() {
        let mut views = Views::default();
        views.open(table("pods"));
        views.open(table("nodes"));
        assert_eq!(here(&views), "overview > pods > nodes");
        assert!(views.leave());
        assert_eq!(here(&views), "overview > pods");
        assert!(views.forward());
        assert_eq!(here(&views), "overview > pods > nodes");
        assert!(!views.forward());
    }

    #[test]
    fn a_new_beginning_leaves_to_the_overview_and_back_to_what_was_before() {
        let mut views = Views::default();
        views.open(table("pods"));
        views.start(table("nodes"));
        assert_eq!(here(&views), "overview > nodes");
        assert!(views.back());
        assert_eq!(here(&views), "overview > pods");
        assert!(views.forward() && views.leave());
        assert_eq!(here(&views), "overview");
        assert!(!views.leave(), "the first view is never left");
    }

    #[test]
    fn the_last_view_and_this_one_change_places() {
        let mut views = Views::default();
        assert!(!views.swap());
        views.open(table("pods"));
        views.start(table("nodes"));
        assert!(views.swap());
        assert_eq!(here(&views), "overview > pods");
        assert!(views.swap());
        assert_eq!(here(&views), "overview > nodes");
    }

    #[test]
    fn opening_forgets_what_lay_ahead() {
        let mut views = Views::default();
        views.open(table("pods"));
        views.back();
        views.open(table("nodes"));
        assert!(!views.forward());
        assert_eq!(here(&views), "overview > nodes");
    }

    #[test]
    fn the_number_of_views_is_bounded_and_the_first_one_stays() {
        let mut views = Views::default();
        for number in 0..200 {
            views.open(table(&format!("kind{number}")));
        }
        let mut count = 1;
        while views.back() {
            count += 1;
        }
        assert_eq!(count, REMEMBERED);
        assert_eq!(here(&views), "overview");
    }
}
