use super::*;

#[test]
fn automatic_names_are_keras_s() {
    // printed by Keras 3.15.1: keras.src.utils.naming.to_snake_case(name)
    for (class, name) in [
        ("Conv2D", "conv2d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ("BatchNormalization", "batch_normalization"),
        ("Dense", "dense"),
        ("ReLU", "re_lu"),
        ("PReLU", "p_re_lu"),
        ("LeakyReLU", "leaky_re_lu"),
        ("ELU", "elu"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("ZeroPadding2D", "zero_padding2d"),
    ] {
        assert_eq!(snake_case(class), name);
    }
}
