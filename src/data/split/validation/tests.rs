use super::*;

#[test]
fn validation_is_text_there_and_back() {
    let cases = [
        ("5000", Validation::Count(5000)),
        ("1", Validation::Count(1)),
        ("0.1", Validation::Fraction(0.1)),
        ("0.0000001", Validation::Fraction(1e-7)),
        ("auto", Validation::Auto),
        ("test", Validation::Test),
        ("none", Validation::None),
        ("2/5", Validation::Fold { number: 2, of: 5 }),
    ];
    for (text, validation) in cases {
        assert_eq!(text.parse::<Validation>().unwrap(), validation);
        assert_eq!(validation.to_string(), text);
        let json = serde_json::to_string(&validation).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Validation>(&json).unwrap(), validation);
    }
    assert_eq!("1e-1".parse::<Validation>().unwrap(), Validation::Fraction(0.1));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let wrong = ["0", "0.0", "1.0", "1.5", "-1", "-0.1", "NaN", "nan", "inf", "", "Test", "10%", "1e23", "5e3"];
    for text in wrong.into_iter().chain(["99999999999999999999999"]) {
        let error = text.parse::<Validation>().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(&format!("got \"{text}\"")), "{error}");
    }
    assert!("0".parse::<Validation>().unwrap_err().to_string().contains("write none"));
}

#[test]
fn a_configuration_file_may_write_numbers() {
    let read = |text| serde_json::from_str::<Validation>(text);
    assert_eq!(read("5000").unwrap(), Validation::Count(5000));
    assert_eq!(read("0.25").unwrap(), Validation::Fraction(0.25));
    for wrong in ["1.0", "0", "-5", "0.0", "true", "null", "[1]"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
