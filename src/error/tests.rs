use super::*;

#[test]
fn the_cause_stands_before_the_advice() {
    let disk = std::io::Error::other("the disk is full");
    let inner = Error::internal("cannot write").at("a.json").help("free some space").because(disk);
    assert_eq!(describe(&inner), "cannot write (a.json): the disk is full; free some space");
    let outer = Error::config("no run").because(inner);
    assert_eq!(describe(&outer), "no run: cannot write (a.json): the disk is full; free some space");
    assert_eq!(format!("{outer:?}"), describe(&outer), "what `fn main() -> Result<()>` prints");
}

#[test]
fn every_kind_has_its_contracted_exit_code() {
    let stopped = ErrorKind::Stopped { signal: 2 };
    let codes = [
        (ErrorKind::Internal, 1),
        (ErrorKind::Config, 2),
        (ErrorKind::Data, 3),
        (ErrorKind::Model, 4),
        (ErrorKind::Device, 5),
        (ErrorKind::Numeric, 6),
        (ErrorKind::Check, 7),
        (stopped, 130),
        (ErrorKind::Stopped { signal: 15 }, 143),
        (ErrorKind::Stopped { signal: 1 }, 129),
    ];
    for (kind, code) in codes {
        assert_eq!(kind.exit_code(), code, "{kind:?}");
    }
}

#[test]
fn places_read_from_the_outside_in() {
    let error = Error::model("unknown key").at("config.layers[2]").at("model.json");
    assert_eq!(error.to_string(), "unknown key (model.json, config.layers[2])");
}
