//! Completions and the manual page, read off the command line's own description.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::{Cli, Failure, Shell, say};
use crate::exit::Exit;

pub(super) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let command = built();
    say(&match shell {
        Shell::Bash => bash(&command),
        Shell::Zsh => zsh(&command),
        Shell::Fish => fish(&command),
    });
    Ok(Exit::Held)
}

pub(super) fn man() -> Result<Exit, Failure> {
    say(&manual(&built()));
    Ok(Exit::Held)
}

/// The command with the help that clap adds.
fn built() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help")
}

/// The names of a command's options.
fn options(command: &Command) -> Vec<String> {
    let long = command.get_arguments().filter_map(Arg::get_long);
    long.map(|name| format!("--{name}")).collect()
}

/// The words that a positional argument can be, and whether it is a file otherwise.
fn words(command: &Command) -> Vec<String> {
    let values = command.get_positionals().flat_map(|arg| arg.get_possible_values());
    let mut words: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    if takes_scenario(command) {
        words.extend(wavetank_scenario::LIBRARY.iter().map(|builtin| builtin.name.to_owned()));
    }
    words
}

fn takes_scenario(command: &Command) -> bool {
    command
        .get_positionals()
        .flat_map(|arg| arg.get_value_names().unwrap_or_default())
        .any(|name| name.as_str() == "SCENARIO")
}

fn summary(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn bash(command: &Command) -> String {
    let names: Vec<&str> = subcommands(command).map(Command::get_name).collect();
    let mut cases = String::new();
    for sub in subcommands(command) {
        let words = [options(sub), words(sub)].concat();
        let _ = writeln!(cases, "        {}) words={:?} ;;", sub.get_name(), words.join(" "));
    }
    format!(
        "# Completion of wavetank for bash: source this file.
_wavetank() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words
    case ${{COMP_WORDS[1]}} in
{cases}        *) words={:?} ;;
    esac
    [ \"$COMP_CWORD\" -eq 1 ] && words={:?}
    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))
    [ \"$COMP_CWORD\" -gt 1 ] && COMPREPLY+=($(compgen -f -- \"$current\"))
}}
complete -o filenames -F _wavetank wavetank
",
        names.join(" "),
        names.join(" "),
    )
}

fn zsh(command: &Command) -> String {
    let escaped = |text: &str| text.replace('\'', "'\\''").replace(':', "\\:");
    let mut names = String::new();
    let mut cases = String::new();
    for sub in subcommands(command) {
        let _ =
            writeln!(names, "        '{}:{}'", sub.get_name(), escaped(&summary(sub.get_about())));
        let words = [options(sub), words(sub)].concat();
        let _ = writeln!(cases, "        {}) compadd -- {} ;;", sub.get_name(), words.join(" "));
    }
    format!(
        "#compdef wavetank
# Completion of wavetank for zsh: put this file into a folder of $fpath as _wavetank.
_wavetank() {{
    local -a commands=(
{names}    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    case $words[2] in
{cases}    esac
    _files
}}
_wavetank \"$@\"
"
    )
}

fn fish(command: &Command) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut text = String::from(
        "# Completion of wavetank for fish: put this file into ~/.config/fish/completions.\n",
    );
    for sub in subcommands(command) {
        let about = escaped(&summary(sub.get_about()));
        let name = sub.get_name();
        let _ =
            writeln!(text, "complete -c wavetank -n __fish_use_subcommand -a {name} -d '{about}'");
        for arg in sub.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            let value = if arg.get_action().takes_values() { " -r" } else { "" };
            let help = escaped(&summary(arg.get_help()));
            let _ = writeln!(
                text,
                "complete -c wavetank -n '__fish_seen_subcommand_from {name}' -l {long}{value} -d '{help}'"
            );
        }
        let words = words(sub);
        if !words.is_empty() {
            let _ = writeln!(
                text,
                "complete -c wavetank -n '__fish_seen_subcommand_from {name}' -a '{}'",
                words.join(" ")
            );
        }
    }
    text
}

/// The manual page, in the macros of man(7).
fn manual(command: &Command) -> String {
    let mut page = format!(
        ".TH WAVETANK 1 \"\" \"wavetank {}\" \"User Commands\"\n.SH NAME\nwavetank \\- {}\n",
        env!("CARGO_PKG_VERSION"),
        roff(summary(command.get_about()).trim_end_matches('.'))
    );
    page += ".SH SYNOPSIS\n.B wavetank\n.I COMMAND\n[\\fIARGUMENTS\\fR]\n";
    let _ = writeln!(page, ".SH DESCRIPTION\n{}", roff(&summary(command.get_long_about())));
    page += ".SH COMMANDS\n";
    for sub in subcommands(command) {
        let usage = sub.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim_start_matches("wavetank ");
        let _ = writeln!(
            page,
            ".SS {}\n.B wavetank {}\n.PP\n{}",
            sub.get_name(),
            roff(usage),
            roff(&summary(sub.get_about()))
        );
        for arg in sub.get_arguments().filter(|arg| arg.get_id() != "help") {
            let name = match (arg.get_long(), arg.get_value_names()) {
                (Some(long), Some([value, ..])) if arg.get_action().takes_values() => {
                    format!("\\-\\-{}\\fR \\fI{value}", roff(long))
                }
                (Some(long), _) => format!("\\-\\-{}", roff(long)),
                (None, Some([value, ..])) => format!("\\fI{value}"),
                (None, _) => continue,
            };
            let _ = writeln!(page, ".TP\n\\fB{name}\\fR\n{}", roff(&summary(arg.get_help())));
        }
    }
    page += ".SH EXIT STATUS\n";
    let codes = summary(command.get_after_help());
    for code in codes.trim_start_matches("Exit codes: ").trim_end_matches('.').split("; ") {
        let (number, meaning) = code.split_once(' ').unwrap_or((code, ""));
        let _ = writeln!(page, ".TP\n.B {number}\n{}", roff(meaning));
    }
    page += ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nwhen set to anything, nothing is coloured.\n";
    page
}

/// Text without what roff would take for its own.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_completed_and_described() {
        let command = built();
        let (bash, zsh, fish, man) =
            (bash(&command), zsh(&command), fish(&command), manual(&command));
        for sub in subcommands(&command) {
            for text in [&bash, &zsh, &fish, &man] {
                assert!(text.contains(sub.get_name()), "{}", sub.get_name());
            }
            for option in options(sub) {
                assert!(bash.contains(&option) && zsh.contains(&option), "{option}");
                assert!(fish.contains(&format!("-l {}", &option[2..])), "{option}");
            }
        }
        assert!(bash.contains("quick/slave-crash"));
        assert!(man.contains(".SH EXIT STATUS") && man.contains("\\-\\-check\\-determinism"));
    }
}
