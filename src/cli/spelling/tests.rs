use clap::CommandFactory;

use super::*;
use crate::cli::Cli;

#[test]
fn settings_become_flags_and_all_else_stays() {
    for (text, spelled) in [
        ("`batch_size` cannot be used", "--batch-size cannot be used"),
        ("a lower `lr` or `global_clip_norm` often mends this", "a lower --lr or --global-clip-norm often mends this"),
        ("use `device = 'cpu'`, or see: convnet doctor", "use --device cpu, or see: convnet doctor"),
        ("try `input_scale = '1/255'`; `channels = 1`", "try --input-scale 1/255; --channels 1"),
        ("`Dense` has no `units = 3`", "`Dense` has no `units = 3`"),
        ("a ` alone, `lr` and ` again", "a ` alone, `lr` and ` again"),
        ("`` `lr`", "`` --lr"),
        ("no `end", "no `end"),
        ("", ""),
    ] {
        assert_eq!(with_flags(text), spelled);
    }
}

#[test]
fn what_becomes_a_flag_is_one() {
    let command = Cli::command();
    let flags = command.get_subcommands().flat_map(|command| command.get_arguments().filter_map(|arg| arg.get_long()));
    let flags: Vec<String> = flags.map(|flag| format!("--{flag}")).collect();
    for key in SETTINGS.keys().map(String::as_str).chain(OPTIONS) {
        let spelled = with_flags(&format!("`{key}`"));
        assert!(flags.contains(&spelled), "{spelled}");
    }
}

#[test]
fn an_error_of_the_library_names_keys_and_the_program_flags() {
    let mut config = RunConfig::default();
    config.training.batch_size = 0;
    let error = config.check().unwrap_err();
    assert!(error.to_string().starts_with("`batch_size` cannot be used: "), "{error}");
    assert!(describe(&error).starts_with("--batch-size cannot be used: "), "{}", describe(&error));
}
