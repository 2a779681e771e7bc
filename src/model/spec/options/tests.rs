use serde_json::json;

use super::*;

#[test]
fn pairs_take_one_number_or_two() {
    assert_eq!(serde_json::from_value::<Pair>(json!(3)).unwrap(), Pair::square(3));
    assert_eq!(serde_json::from_value::<Pair>(json!([3, 5])).unwrap(), Pair { height: 3, width: 5 });
    assert!(serde_json::from_value::<Pair>(json!([3])).is_err());
    assert!(serde_json::from_value::<Pair>(json!(-1)).is_err());
    assert_eq!(serde_json::to_value(Pair::square(2)).unwrap(), json!([2, 2]));
}

#[test]
fn sides_take_one_number_two_or_four() {
    for (written, sides) in
        [(json!(2), [[2, 2], [2, 2]]), (json!([1, 3]), [[1, 1], [3, 3]]), (json!([[1, 2], [3, 4]]), [[1, 2], [3, 4]])]
    {
        let read: Sides = serde_json::from_value(written).unwrap();
        assert_eq!(<[[usize; 2]; 2]>::from(read), sides);
    }
    assert!(serde_json::from_value::<Sides>(json!([1, -1])).is_err());
}

#[test]
fn axes_are_counted_from_both_ends() {
    assert_eq!(Axes::One(-1).resolve(4).unwrap(), [3]);
    assert_eq!(Axes::Many(vec![-1, 1]).resolve(4).unwrap(), [1, 3]);
    for wrong in [Axes::One(4), Axes::One(-5), Axes::Many(vec![1, -3]), Axes::One(i64::MIN)] {
        assert!(wrong.resolve(4).is_err(), "{wrong:?}");
    }
    assert_eq!([Axes::One(1), Axes::Many(vec![1, 3])].map(|axes| axes.to_string()), ["1", "[1, 3]"]);
}
