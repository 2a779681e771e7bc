use super::*;

/// A batch of two images of six classes: a hit with loss 0.5 and a miss whose label is the last.
fn add_batch(sums: &mut RunningSums) {
    let ranking = || Tensor::from_slice(&[6.0f32, 5.0, 4.0, 3.0, 2.0, 1.0]).repeat([2, 1]);
    let [labels, classes] = [[0i64, 5], [0, 0]].map(|numbers| Tensor::from_slice(&numbers));
    let loss = Tensor::from(0.5f32);
    sums.add(&BatchResult { loss: &loss, classes: &classes, ranking: &ranking, labels: &labels });
}

#[test]
fn batches_add_up_to_means() {
    let mut sums = RunningSums::new(Sums::default(), 6, Device::Cpu);
    (0..3).for_each(|_| add_batch(&mut sums));
    let read = sums.read();
    assert_eq!((read.count, read.correct()), (6, 3));
    let means = [(Metric::Loss, 0.5), (Metric::Accuracy, 0.5), (Metric::Top5Accuracy, 0.5)];
    assert_eq!(read.scores(), means.into_iter().collect());
    let mut resumed = RunningSums::new(read, 6, Device::Cpu);
    add_batch(&mut resumed);
    add_batch(&mut sums);
    assert_eq!(resumed.read(), sums.read());
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Sums>(&text).unwrap(), read);
    let none = RunningSums::new(Sums::default(), 6, Device::Cpu).read().scores();
    assert!(none.loss().is_nan() && none.accuracy().is_nan());
}

#[test]
fn an_older_checkpoint_s_sums_go_on_without_what_they_lack() {
    let old: Sums = serde_json::from_str(r#"{"loss":1.25,"hits":7,"count":16}"#).unwrap();
    assert_eq!(old, Sums { totals: Scores::new(1.25, 7.0), count: 16 });
    let mut resumed = RunningSums::new(old, 6, Device::Cpu);
    add_batch(&mut resumed);
    assert_eq!(resumed.read(), Sums { totals: Scores::new(2.25, 8.0), count: 18 });
    let begun: Sums = serde_json::from_str(r#"{"loss":0.0,"hits":0,"count":0}"#).unwrap();
    assert!(RunningSums::new(begun, 6, Device::Cpu).read().totals.get(Metric::Top5Accuracy).is_some());
    assert!(serde_json::from_str::<Sums>(r#"{"loss":1.25,"count":16}"#).is_err());
}
