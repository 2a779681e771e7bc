use clap::{Arg, Command, CommandFactory, FromArgMatches};
use serde_json::json;

use super::*;
use crate::cli::Cli;
use crate::cli::train::Args;

fn command(path: &[&str]) -> Command {
    let mut command = Cli::command();
    command.build();
    path.iter().fold(command, |command, name| command.find_subcommand(name).unwrap().clone())
}

/// All commands that do something, with their names.
fn all_commands(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        found.push((path.clone(), sub.clone()));
        all_commands(sub, &path, found);
    }
}

fn help_of(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn printed_default(arg: &Arg) -> Option<String> {
    let help = help_of(arg);
    Some(help.split_once("[default: ")?.1.strip_suffix(']')?.to_owned())
}

#[test]
fn printed_defaults_are_those_of_a_run_without_flags() {
    let Value::Object(defaults) = json!(RunConfig::default()) else { unreachable!() };
    for name in ["train", "lr-find"] {
        let command = command(&[name]);
        for key in defaults.keys() {
            let arg = command.get_arguments().find(|arg| arg.get_id() == key);
            let arg = arg.unwrap_or_else(|| panic!("{name} has no flag for {key}"));
            let is_switch = arg.get_num_args().unwrap().max_values() == 0;
            match printed_default(arg) {
                None => assert!(is_switch && defaults[key] == false, "{name} --{key} prints no default"),
                Some(words) if origin::words_of_default(key).map(with_flags).as_ref() == Some(&words) => {}
                Some(text) => {
                    let flag = format!("--{}", key.replace('_', "-"));
                    let matches = super::super::Cli::command()
                        .find_subcommand("train")
                        .unwrap()
                        .clone()
                        .get_matches_from(["train", &flag, &text]);
                    let resolved = Args::from_arg_matches(&matches).unwrap().resolve(None, 1).unwrap();
                    assert_eq!(resolved.config, RunConfig::default(), "{name} {flag} {text}");
                }
            }
        }
    }
}

#[test]
fn every_setting_without_a_value_has_words_for_its_default() {
    let Value::Object(defaults) = json!(RunConfig::default()) else { unreachable!() };
    for (key, value) in defaults {
        assert!(!value.is_null() || origin::words_of_default(&key).is_some(), "{key}");
    }
}

#[test]
fn numbers_are_short() {
    assert_eq!([0.0, 10.0, 0.002, 1e-7, 1e-4, 128.0].map(short), ["0", "10", "0.002", "1e-7", "0.0001", "128"]);
}

#[test]
fn every_command_ends_with_two_examples_that_parse() {
    let mut commands = Vec::new();
    all_commands(&command(&[]), "convnet", &mut commands);
    for (path, command) in commands {
        let after = command.get_after_help().unwrap_or_else(|| panic!("{path} has no examples")).to_string();
        let examples: Vec<&str> = after.lines().skip(1).collect();
        assert_eq!(examples.len(), 2, "{path}");
        for example in examples {
            let words = example.split('>').next().unwrap_or_default().split_whitespace();
            let words = words.skip_while(|word| *word != "convnet");
            Cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}

#[test]
fn a_flag_has_one_wording_in_every_command() {
    let mut commands = Vec::new();
    all_commands(&command(&[]), "convnet", &mut commands);
    for flag in ["data", "json", "device", "threads", "logs", "models", "match_by_number", "progress", "config"] {
        let mut seen: Vec<(String, String, String)> = Vec::new();
        for (path, command) in &commands {
            for arg in command.get_arguments().filter(|arg| arg.get_id() == flag) {
                let sentence = help_of(arg).split(" [default").next().unwrap_or_default().to_owned();
                seen.push((path.clone(), sentence, format!("{:?}{:?}", arg.get_value_names(), arg.get_short())));
            }
        }
        // predict and explain take files in DATA's place
        let takes_files = |path: &str| ["convnet predict", "convnet explain"].contains(&path);
        let seen: Vec<_> = seen.iter().filter(|(path, ..)| !(takes_files(path) && flag == "data")).collect();
        let first = seen.first().unwrap_or_else(|| panic!("nothing has --{flag}"));
        for other in &seen {
            assert_eq!((&other.1, &other.2), (&first.1, &first.2), "{} and {}", other.0, first.0);
        }
    }
}

#[test]
fn data_is_given_with_or_without_its_flag() {
    for line in [
        "train digits",
        "train -d digits -e 1",
        "lr-find digits",
        "evaluate m digits",
        "evaluate m -d digits",
        "reproduce run digits",
        "data show digits",
        "data show --data digits -o a.png",
        "data check -d digits",
        "data download --data mnist",
        "data export -d digits --format png -o out",
    ] {
        let words = std::iter::once("convnet").chain(line.split(' '));
        Cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    for line in ["train digits --data mnist", "data show", "evaluate m digits -d digits"] {
        let words = std::iter::once("convnet").chain(line.split(' '));
        assert!(Cli::command().try_get_matches_from(words).is_err(), "{line}");
    }
    let matches = command(&["train"]).try_get_matches_from(["train", "mnist"]).unwrap();
    let resolved = Args::from_arg_matches(&matches).unwrap().resolve(None, 1).unwrap();
    assert_eq!(resolved.config.data.source, "mnist");
}

#[test]
fn help_and_version_come_last() {
    let mut commands = Vec::new();
    all_commands(&command(&[]), "convnet", &mut commands);
    for (path, command) in &mut commands {
        let help = command.render_help().to_string();
        let (own, global) = help.split_once("Global options:").unwrap_or_else(|| panic!("{path}"));
        assert!(!own.contains("-h, --help") && !own.contains("-q, --quiet"), "{help}");
        let order = ["--quiet", "--verbose", "--help", "--version"].map(|flag| global.find(flag).unwrap());
        assert!(order.is_sorted(), "{help}");
    }
}
