use super::*;

const PAPER: Rgb<u8> = Rgb([250, 250, 250]);
const STYLE: TextStyle =
    TextStyle { weight: FontWeight::Regular, height: RasterHeight::Size16, colour: Rgb([10, 20, 30]) };

fn ink(text: &str) -> usize {
    let mut canvas = RgbImage::from_pixel(STYLE.width_px(text) + 4, STYLE.height_px(), PAPER);
    STYLE.draw(&mut canvas, 2, 0, text);
    // nothing is drawn beside the text's own box
    for x in [0, 1, canvas.width() - 2, canvas.width() - 1] {
        assert!((0..canvas.height()).all(|y| *canvas.get_pixel(x, y) == PAPER), "{text}");
    }
    canvas.pixels().filter(|&&pixel| pixel != PAPER).count()
}

#[test]
fn letters_are_drawn_inside_their_box_and_unknown_ones_as_a_question_mark() {
    assert_eq!(ink(" "), 0);
    assert!(ink("Ankle boot") > 100);
    assert_ne!(ink("é"), ink("?"));
    assert_ne!(ink("×"), ink("?"));
    assert_eq!(ink("花"), ink("?"));
}

#[test]
fn text_past_the_edge_is_left_out() {
    let mut canvas = RgbImage::from_pixel(5, 5, PAPER);
    STYLE.draw(&mut canvas, 3, 3, "WWWW");
    STYLE.draw(&mut canvas, 300, 300, "W");
    assert_eq!(*canvas.get_pixel(0, 0), PAPER);
}

#[test]
fn long_text_is_shortened() {
    assert_eq!(shorten("T-shirt/top", 11), "T-shirt/top");
    assert_eq!(shorten("Staffordshire bull terrier", 17), "Staffordshire...");
    assert_eq!(shorten("ééééé", 4), "é...");
}
