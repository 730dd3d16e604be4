use ratatui::style::{Color, Modifier};

use super::*;

fn shelf_with(sheets: &[(&str, &str)]) -> Result<Shelf, ThemeError> {
    let mut shelf = Shelf::bundled()?;
    for (name, text) in sheets {
        shelf.add(name, &format!("{name}.toml"), text)?;
    }
    Ok(shelf)
}

#[test]
fn every_bundled_theme_names_every_role_at_every_depth() {
    let shelf = Shelf::bundled().unwrap();
    let names: Vec<_> = shelf.names().map(|(name, _)| name.to_owned()).collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        for depth in [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True] {
            let theme = shelf.theme(&name, depth).unwrap();
            assert_eq!(theme.name(), name);
            assert!(theme.style(Role::Text).fg.is_some(), "{name}");
        }
    }
}

#[test]
fn states_that_hurt_look_different_from_those_that_do_not_in_every_theme() {
    let shelf = Shelf::bundled().unwrap();
    for (name, _) in shelf.names() {
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
            let theme = shelf.theme(name, depth).unwrap();
            let [good, bad, warn] =
                [Health::Healthy, Health::Degraded, Health::Warning].map(|health| theme.health(health));
            assert!(good != bad && bad != warn && good != warn, "{name} at {depth:?}");
            assert_ne!(theme.style(Role::EnvProd), theme.style(Role::EnvDev), "{name} at {depth:?}");
        }
    }
}

#[test]
fn without_colour_nothing_is_coloured_and_the_selection_is_reversed() {
    let theme = Shelf::bundled().unwrap().theme("dark", Depth::None).unwrap();
    for role in Role::ALL {
        let style = theme.style(*role);
        assert!(matches!(style.fg, None | Some(Color::Reset)), "{}", role.name());
        assert!(matches!(style.bg, None | Some(Color::Reset)), "{}", role.name());
    }
    assert!(theme.style(Role::Selected).add_modifier.contains(Modifier::REVERSED));
}

#[test]
fn fewer_colours_take_the_nearest_one() {
    let red = Color::Rgb(250, 10, 10);
    assert_eq!(Depth::True.fit(red), red);
    assert_eq!(Depth::Indexed.fit(red), Color::Indexed(196));
    assert_eq!(Depth::Sixteen.fit(red), Color::LightRed);
    assert_eq!(Depth::Sixteen.fit(Color::Indexed(1)), Color::Red);
    assert_eq!(Depth::None.fit(red), Color::Reset);
}

#[test]
fn the_depth_follows_no_color_colorterm_and_term() {
    let depth = |pairs: &'static [(&str, &str)]| {
        Depth::detect(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned()))
    };
    assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
    assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "24bit")]), Depth::True);
    assert_eq!(depth(&[("TERM", "screen-256color")]), Depth::Indexed);
    assert_eq!(depth(&[("TERM", "linux")]), Depth::Sixteen);
    assert_eq!(depth(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]), Depth::None);
    assert_eq!(depth(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::None);
    assert_eq!(depth(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]), Depth::True, "empty does not count");
}

#[test]
fn a_theme_inherits_what_it_does_not_name() {
    let shelf = shelf_with(&[(
        "mine",
        "inherits = \"light\"\n[roles]\ndegraded = { fg = \"#010203\", bold = true }\n",
    )])
    .unwrap();
    let mine = shelf.theme("mine", Depth::True).unwrap();
    let light = shelf.theme("light", Depth::True).unwrap();
    assert_eq!(mine.style(Role::Degraded).fg, Some(Color::Rgb(1, 2, 3)));
    assert_eq!(mine.style(Role::Healthy), light.style(Role::Healthy));
}

#[test]
fn a_circle_of_themes_is_refused_by_name() {
    let shelf = shelf_with(&[("a", "inherits = \"b\""), ("b", "inherits = \"a\"")]).unwrap();
    assert_eq!(
        shelf.theme("a", Depth::True).unwrap_err().to_string(),
        "themes inherit in a circle: a -> b -> a"
    );
}

#[test]
fn wrong_files_are_refused_with_line_and_nearest_name() {
    let said = |text| shelf_with(&[("mine", text)]).unwrap_err().to_string();
    assert!(
        said("[roles]\n\ndegradde = \"red\"\n")
            .starts_with("mine.toml:3: unknown role \"degradde\"; did you mean degraded?")
    );
    assert!(
        said("[roles]\ntext = \"rde\"\n")
            .starts_with("mine.toml:2: unknown colour \"rde\"; did you mean red?")
    );
    assert!(said("inherit = \"dark\"\n").starts_with("mine.toml:1: unknown key \"inherit\""));
    assert!(said("[roles]\ntext = { fg = \"red\", bald = true }\n").contains("did you mean bold?"));
    assert_eq!(
        said("[roles]\ntext = { bold = 1 }\n"),
        "mine.toml:2: roles.text.bold must be true or false, not a whole number"
    );
}

#[test]
fn a_theme_that_leaves_roles_open_is_refused_with_the_roles() {
    let shelf = shelf_with(&[("mine", "[roles]\ntext = \"red\"\n")]).unwrap();
    let said = shelf.theme("mine", Depth::True).unwrap_err().to_string();
    assert!(said.contains("dim, strong") && !said.contains("colour: text"), "{said}");
}

#[test]
fn an_unknown_theme_is_answered_with_the_nearest_names() {
    let said = Shelf::bundled().unwrap().theme("drak", Depth::True).unwrap_err().to_string();
    assert!(said.contains("did you mean dark?") && said.contains("there are: "), "{said}");
}

#[test]
fn a_file_in_the_themes_directory_replaces_the_bundled_one_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("dusk.toml"), "inherits = \"light\"\n").unwrap();
    std::fs::write(directory.path().join("notes.txt"), "not a theme").unwrap();
    let shelf = Shelf::with_directory(directory.path()).unwrap();
    let [dusk, light] = ["dusk", "light"].map(|name| shelf.theme(name, Depth::True).unwrap());
    assert_eq!(dusk.style(Role::Text), light.style(Role::Text));
}
