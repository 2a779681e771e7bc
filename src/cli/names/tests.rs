use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use convnet::data::Split;
use convnet::data::image::Resize;
use convnet::data::options::Cache;
use convnet::data::split::SplitMode;
use convnet::log::console::ProgressMode;
use convnet::train::ScheduleKind;

/// Flags (strum) and files (serde) spell every variant alike, and read it back.
fn assert_one_spelling<T>()
where
    T: VariantArray + ToString + FromStr<Err = ParseError> + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut names = BTreeSet::new();
    for variant in T::VARIANTS {
        let name = variant.to_string();
        assert_eq!(serde_json::to_value(variant).unwrap(), name.as_str());
        assert_eq!(&serde_json::from_value::<T>(name.as_str().into()).unwrap(), variant);
        assert_eq!(&name.parse::<T>().unwrap(), variant);
        assert!(names.insert(name), "{variant:?} has another's name");
    }
}

#[test]
fn flags_and_files_spell_every_name_alike() {
    assert_one_spelling::<Cache>();
    assert_one_spelling::<ProgressMode>();
    assert_one_spelling::<Resize>();
    assert_one_spelling::<ScheduleKind>();
    assert_one_spelling::<Split>();
    assert_one_spelling::<SplitMode>();
}

#[test]
fn aliases_are_accepted_and_not_shown() {
    let command = clap::Command::new("convnet").arg(clap::Arg::new("split").value_parser(names::<Split>()));
    let parse = |text| names::<Split>().parse_ref(&command, None, OsStr::new(text));
    assert_eq!(parse("val").unwrap(), Split::Validation);
    assert_eq!(parse("validation").unwrap(), Split::Validation);
    assert!(parse("Validation").is_err() && parse("").is_err());
    let parser = names::<Split>();
    let shown: Vec<_> = parser.possible_values().unwrap().map(|value| value.get_name().to_owned()).collect();
    assert_eq!(shown, ["train", "validation", "test"]);
}

#[test]
fn the_help_of_a_value_is_the_first_paragraph_of_its_documentation() {
    assert_eq!(sentence("Along a cosine\nto the end.\n\nMore."), "Along a cosine to the end");
}
