use super::*;
use crate::model::presets::{PRESETS, preset};
use crate::model::spec::CompiledLoss;

const SHAPE: ImageShape = ImageShape { height: 28, width: 28, channels: 1 };

/// What Keras makes of lines, and what its constructors take: `scripts/fixtures/short_form.py`.
fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../tests/fixtures/short_form.json")).unwrap()
}

fn read(text: &str) -> Result<Spec> {
    ShortForm::parse(text, "net")?.spec(SHAPE, 10)
}

fn message(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn every_line_is_the_layer_that_keras_makes_of_it() {
    let golden = golden();
    let (mut seen, mut differ) = (Vec::new(), Vec::new());
    for row in golden["layers"].as_array().unwrap() {
        let short = row["short"].as_str().unwrap();
        let document = json!({ "class_name": "Sequential", "config": { "layers": [row["keras"]] } });
        let expected = Spec::from_json(&document).unwrap();
        for line in [short, row["python"].as_str().unwrap()] {
            let read = ShortForm::parse(line, "net").and_then(|form| form.read(10));
            let read = read.unwrap_or_else(|error| panic!("{line}: {error}"));
            if read.layers[0].spec.to_config() != expected.layers[0].spec.to_config() {
                differ.push((line.to_owned(), read.to_json().to_string(), expected.to_json().to_string()));
            }
            assert_eq!(read.layers[0].trainable, expected.layers[0].trainable, "{line}");
            seen.push(read.layers[0].spec.class_name());
        }
        let written = Spec { name: "net".into(), ..expected.clone() }.to_short(false).unwrap();
        let again = ShortForm::parse(&written, "net").unwrap().read(10).unwrap();
        assert_eq!(again.layers, expected.layers, "{written}");
    }
    assert!(differ.is_empty(), "{differ:#?}");
    for signature in &signatures::LAYERS {
        assert!(seen.contains(&signature.class_name), "{}", signature.class_name);
    }
}

#[test]
fn constructors_take_what_keras_s_take() {
    let golden = golden();
    for (table, known) in [(&signatures::LAYERS[..], "signatures"), (&signatures::OBJECTS[..], "objects")] {
        for signature in table.iter().filter(|signature| signature.class_name != "Sequential") {
            let parameters: Vec<&str> = signature.parameters().collect();
            let expected = &golden[known][signature.class_name];
            assert_eq!(json!([parameters, signature.required]), *expected, "{}", signature.class_name);
        }
        let without_sequential = table.iter().filter(|signature| signature.class_name != "Sequential").count();
        assert_eq!(golden[known].as_object().unwrap().len(), without_sequential);
    }
}

#[test]
fn a_network_is_keras_s_default_one() {
    let text = "# the course's network\nConv2D 32 3 relu\nMaxPooling2D 2\n\nConv2D 64 3 relu   # patterns of patterns\n\
                MaxPooling2D 2\nDropout 0.2\nFlatten\nDense softmax\n";
    assert_eq!(read(text).unwrap().layers, preset("keras-cnn").unwrap().layers);
    assert_eq!(read(&text.replace('\n', "\r\n")).unwrap().layers, preset("keras-cnn").unwrap().layers);
    let python = "model = keras.Sequential([\n  keras.Input(shape=(28, 28, 1)),\n  \
                  layers.Conv2D(32, kernel_size=(3, 3), activation=\"relu\"),\n  layers.MaxPooling2D(pool_size=(2, 2)),\n  \
                  layers.Conv2D(64, 3, activation='relu'),  # more\n  layers.MaxPooling2D(),\n  layers.Dropout(0.2),\n  \
                  layers.Flatten(),\n  layers.Dense(10, activation=\"softmax\"),\n], name=\"course\")\n";
    let spec = read(python).unwrap();
    assert_eq!(spec.layers, preset("keras-cnn").unwrap().layers);
    assert_eq!((spec.name.as_str(), spec.input_shape), ("course", Some(vec![28, 28, 1])));
}

#[test]
fn what_is_left_open_comes_from_the_data() {
    let colour = ImageShape { height: 32, width: 48, channels: 3 };
    let form = ShortForm::parse("Conv2D classes 1\nGlobalAveragePooling2D\nSoftmax", "net").unwrap();
    form.spec(colour, 7).unwrap().check_fits(colour, 7).unwrap();
    let form = ShortForm::parse("Flatten\nDense 64 relu\nDense softmax", "net").unwrap();
    form.spec(colour, 7).unwrap().check_fits(colour, 7).unwrap();
    // an Input stays, units stay
    for text in ["Input 28 28 1\nFlatten\nDense softmax", "Flatten\nDense 10 softmax"] {
        let spec = ShortForm::parse(text, "net").unwrap().spec(colour, 7).unwrap();
        assert!(spec.check_fits(colour, 7).is_err(), "{text}");
    }
    for input in ["Input 28 28 1", "Input(shape=(28, 28, 1))", "InputLayer((28, 28, 1))", "Input [28, 28, 1]"] {
        assert_eq!(read(&format!("{input}\nFlatten")).unwrap().input_shape.unwrap(), [28, 28, 1], "{input}");
    }
    assert_eq!(read("Flatten input_shape=(5, 6, 3)").unwrap().input_shape.unwrap(), [5, 6, 3]);
}

#[test]
fn presets_are_written_short_and_adapt_as_they_do() {
    let colour = ImageShape { height: 32, width: 32, channels: 3 };
    for name in PRESETS.map(|preset| preset.name) {
        let spec = preset(name).unwrap();
        if spec.graph.is_some() {
            assert!(spec.to_short(true).unwrap_err().to_string().contains("no branches"), "{name}");
            continue;
        }
        let text = spec.to_short(true).unwrap();
        let mut adapted = spec.clone();
        adapted.adapt(colour, 100);
        assert_eq!(ShortForm::parse(&text, &spec.name).unwrap().spec(colour, 100).unwrap(), adapted, "{text}");
        let fixed = spec.to_short(false).unwrap();
        assert_eq!(ShortForm::parse(&fixed, &spec.name).unwrap().spec(colour, 100).unwrap(), spec, "{fixed}");
    }
    let text =
        "Conv2D 32 3 relu\nMaxPooling2D 2\nConv2D 64 3 relu\nMaxPooling2D 2\nDropout 0.2\nFlatten\nDense softmax\n";
    assert_eq!(preset("keras-cnn").unwrap().to_short(true).unwrap(), text);
}

#[test]
fn nested_networks_and_odd_activations_come_back() {
    let texts = [
        "Sequential([Conv2D(8, 3, relu), MaxPooling2D(2)], name=block)\nFlatten\nDense 10 softmax\n",
        "Conv2D 8 3 activation=ReLU(6.0)\nFlatten name=\"odd name\"\nDense 10 softmax trainable=False\n",
        "Conv2D 8 [3, 5] same swish\nFlatten\nDense 10 softmax\n",
    ];
    for text in texts {
        let spec = read(text).unwrap();
        let written = spec.to_short(false).unwrap();
        assert_eq!(read(&written).unwrap(), spec, "{written}");
    }
    let mut old = preset("keras-cnn").unwrap().to_json();
    old["keras_version"] = json!("2.15.0");
    old["config"]["layers"][1]["config"]["activation"] = json!("hard_sigmoid");
    let spec = Spec::from_json(&old).unwrap();
    assert_eq!(read(&spec.to_short(false).unwrap()).unwrap().layers, spec.layers);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let mistakes = [
        ("Conv2D 32 3 rellu", "unknown word 'rellu', did you mean 'relu'?"),
        ("\nConv2d 32 3", "(line 2"),
        ("Conv2d 32 3", "did you mean 'Conv2D'?"),
        ("Conv2D 32", "kernel_size is missing: expected filters, then kernel_size"),
        ("Conv2D 32 3 stride=2", "Conv2D has no parameter 'stride', did you mean 'strides'?"),
        ("Conv2D 32 3 kernel_size=3", "kernel_size is given twice"),
        ("Conv2D 32 3 relu tanh", "unknown word 'tanh'"),
        ("Conv2D 32 3 padding=smae", "smae"),
        ("Conv2D 32 3x3", "'3x3' is no name and no number"),
        ("Conv2D 32.5 3", "32.5"),
        ("Conv2D -1 3", "-1"),
        ("Conv2D (32, 3)", "a blank stands before the bracket"),
        ("Conv2D(32, 3", "expected ',' or ')'"),
        ("Conv2D 32 3 \"relu", "a text has no end"),
        ("Conv2D(32, 3) Flatten", "the end of the line: one layer a line"),
        ("Flatten 3 4", "too many values"),
        ("Identity 3", "too many values: expected at most 0: none"),
        ("Dropout classes", "the number of classes has no place here"),
        ("Dense relu\nDense softmax", "units is missing"),
        ("Conv1D 32 3", "only layers of two-dimensional images are"),
        ("Dense 10 kernel_regularizer=l3(0.1)", "unknown 'l3'"),
        ("Dense 10 kernel_regularizer=l2(l1=0.1)", "L2 has no parameter 'l1'"),
        ("Dropout 1/0", "a division without a result"),
        ("import keras", "'import' is Python code"),
        ("32 3", "expected a layer's name first"),
        ("x = 3", "a layer is not assigned"),
        ("", "the file has no layers"),
        ("# nothing", "the file has no layers"),
        ("Flatten\nInput 28 28 1", "an InputLayer can only come first"),
        ("Flatten name=a\nDense 10 name=a", "two layers have one name"),
        ("Flatten\nDense 10\nConv2D 32 3", "line 3"),
        ("Conv2D 8 40\nFlatten", "line 1"),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in mistakes {
        let message = message(text);
        let names_its_line = message.contains("line ") || expected == "the file has no layers";
        if !message.contains(expected) || !names_its_line {
            wrong.push(format!("{text}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(message(&"[".repeat(100_000)).contains("line 1"));
    assert!(message(&format!("Dense 1 {}", "(".repeat(100_000))).contains("nested too deeply"));
}

#[test]
fn a_loss_that_says_what_the_outputs_are_is_not_lost() {
    let compiled = |layers: &str, name: &str, from_logits| {
        let mut spec = read(layers).unwrap();
        spec.set_loss(Some(CompiledLoss { name: name.to_owned(), from_logits }));
        spec.to_short(false).map_err(|error| error.to_string())
    };
    // outputs that these losses mean otherwise than the layers alone do
    for (layers, name, from_logits) in [
        ("Flatten\nDense 10 sigmoid", "categorical_crossentropy", false),
        ("Flatten\nDense 1", "BinaryCrossentropy", true),
    ] {
        let message = compiled(layers, name, from_logits).unwrap_err();
        assert!(message.contains("cannot say the loss") && message.contains(name), "{message}");
    }
    assert!(compiled("Flatten\nDense 10 sigmoid", "binary_crossentropy", false).is_ok());
    assert!(compiled("Flatten\nDense 10 softmax", "categorical_crossentropy", false).is_ok());
}
