use clap::CommandFactory;

#[test]
fn the_flags_make_sense() {
    super::Cli::command().debug_assert();
}

#[test]
fn lr_find_s_help_is_about_what_it_uses() {
    let mut command = super::Cli::command();
    let help = command.find_subcommand_mut("lr-find").unwrap().render_long_help().to_string();
    assert!(help.contains("--start-lr") && help.contains("--batch-size"), "{help}");
    assert!(!help.contains("--epochs") && !help.contains("--schedule") && !help.contains("--restore-best"), "{help}");
}
