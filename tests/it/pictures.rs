//! The pictures of the README: real screens of the binary on the embedded platform, in `assets/pictures`.
//!
//! `UPDATE_PICTURES=1 cargo test --test it pictures` takes them anew; otherwise they are only looked through.

use std::path::{Path, PathBuf};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::svg;
use crate::terminal::Terminal;

/// Columns and rows of a picture.
const SIZE: (u16, u16) = (120, 34);

/// Every picture with what it shows.
const PICTURES: [(&str, &str); 9] = [
    ("overview", "The overview: tenants worst first, what changed, and what is suspected"),
    ("pods", "The pods of the tenant in trouble"),
    ("application", "An Application: its resources down to the pods"),
    ("history", "The history of an Application"),
    ("rollback", "The plan of a rollback, before anything is written"),
    ("palette", "The palette"),
    ("alerts", "The alerts, those that hurt first"),
    ("board", "The board of a tenant"),
    ("logs", "The log lines of a tenant, from Loki"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pictures")
}

/// What a terminal shows, as a buffer.
fn buffer(screen: &vt100::Screen) -> Buffer {
    let area = Rect::new(0, 0, SIZE.0, SIZE.1);
    let mut buffer = Buffer::empty(area);
    for position in area.positions() {
        let Some(cell) = screen.cell(position.y, position.x).filter(|cell| cell.has_contents()) else {
            if let Some(cell) = screen.cell(position.y, position.x) {
                buffer[position].set_style(style(cell));
            }
            continue;
        };
        buffer[position].set_symbol(cell.contents()).set_style(style(cell));
    }
    buffer
}

fn style(cell: &vt100::Cell) -> Style {
    let color = |color| match color {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(index) => Color::Indexed(index),
        vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    };
    let mut style = Style::new().fg(color(cell.fgcolor())).bg(color(cell.bgcolor()));
    for (is, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if is {
            style = style.add_modifier(modifier);
        }
    }
    style
}

fn take(terminal: &Terminal, name: &str) {
    let title = PICTURES.iter().find(|(picture, _)| *picture == name).expect("a known picture").1;
    let text = svg::picture(&buffer(terminal.screen()), title, &svg::DARK);
    std::fs::write(folder().join(format!("{name}.svg")), text).expect("a picture is written");
}

/// Tells whether a screen holds all of some words; frames are written from the top, so the last word is one of
/// the footer.
fn all(words: &[&'static str]) -> impl Fn(&str) -> bool + use<> {
    let words = words.to_vec();
    move |text| words.iter().all(|word| text.contains(word))
}

/// Works the story of the demo and takes a picture of each screen on the way.
fn update() {
    std::fs::create_dir_all(folder()).expect("the folder of the pictures");
    let home = tempfile::tempdir().expect("a home");
    let home = home.path().to_str().expect("a readable path");
    let variables = [("HOME", home), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8"), ("TZ", "UTC")];
    let mut terminal = Terminal::start(env!("CARGO_BIN_EXE_opsdeck"), &["demo"], &variables, SIZE);
    terminal.wait("a tenant in trouble", |text| {
        ["degraded", "fires", "k8s live  argo live"].iter().all(|it| text.contains(it))
    });
    terminal.wait("its suspect", |text| text.contains("Suspects"));
    take(&terminal, "overview");
    terminal.press(":pods -t tenant-2\r");
    terminal.wait("its pods", all(&["› pods", "CrashLoopBackOff", "ctrl-d delete"]));
    take(&terminal, "pods");
    terminal.press(":");
    terminal.wait("the palette", |text| text.contains("go to"));
    terminal.press("app");
    terminal.wait("suggestions", all(&["applications", "tab complete"]));
    take(&terminal, "palette");
    terminal.press("\u{15}applications /checkout\r");
    terminal.wait("the Application", |text| text.contains("tenant-2-checkout") && text.contains("REVISION"));
    terminal.press("\r");
    terminal.wait("its resources", all(&["Deployment/checkout", "h history", "tree of argocd-server"]));
    take(&terminal, "application");
    terminal.press("h");
    terminal.wait("its history", all(&["IMAGES", "r resources"]));
    terminal.press("j");
    take(&terminal, "history");
    terminal.press("R");
    terminal.wait("the plan", all(&["same as", "Type tenant-2"]));
    take(&terminal, "rollback");
    terminal.press("\u{1b}");
    terminal.wait("the question put away", |text| !text.contains("Type tenant-2"));
    terminal.press(":alerts\r");
    terminal.wait("the alerts", all(&["HighErrorRate", "critical", "s silence"]));
    take(&terminal, "alerts");
    terminal.press("O");
    terminal.wait("the overview", |text| text.contains("worst first"));
    terminal.press("gm");
    terminal.wait("the board", |text| {
        ["Requests", "p95", "e edit query"].iter().all(|it| text.contains(it)) && !text.contains("asking")
    });
    take(&terminal, "board");
    terminal.press(":logs {namespace=\"tenant-2\"} |= \"error\"\r");
    terminal.wait("the lines", all(&["following", "ERROR", "e query"]));
    // At rest, so that no frame is on its way.
    terminal.press("s");
    terminal.wait("the lines at rest", |text| !text.contains("following") && text.contains("e query"));
    take(&terminal, "logs");
    // Dropped here, the program is ended; nothing was written.
}

#[test]
fn the_pictures_of_the_readme_are_there_and_are_whole() {
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        update();
    }
    for (name, title) in PICTURES {
        let path = folder().join(format!("{name}.svg"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; UPDATE_PICTURES=1 takes it anew", path.display());
        });
        assert!(text.contains(&format!("<title>{title}</title>")), "{name} shows something else");
        assert!(text.starts_with("<svg ") && text.ends_with("</g>\n</svg>\n"), "{name} is cut off");
        let lines = text.lines().filter(|line| line.starts_with("<text") || line.starts_with("<rect"));
        for line in lines {
            assert!(line.ends_with("</text>") || line.ends_with("/>"), "{name}: {line}");
        }
        assert_eq!(text.matches("<text").count(), text.matches("</text>").count(), "{name}");
        assert!(!text.contains('\u{1b}'), "{name} holds an escape sequence");
    }
}
