use super::*;

fn node(layer: usize, inputs: &[Option<usize>]) -> Node {
    Node { layer, inputs: inputs.to_vec(), in_inference: false }
}

fn name(layer: usize) -> String {
    format!("l{layer}")
}

#[test]
fn layers_are_in_keras_s_order_whatever_the_file_s() {
    // x -> 0 -> 1 -> add(3); 0 -> 2 -> add; add -> 4: the walk from the output meets the first input's branch first
    let nodes =
        [node(4, &[Some(1)]), node(3, &[Some(4), Some(3)]), node(0, &[None]), node(2, &[Some(2)]), node(1, &[Some(2)])];
    let Ordered { layers, calls } = ordered(&nodes, 0, &name).unwrap();
    assert_eq!(layers, [0, 1, 2, 3, 4]);
    let inputs: Vec<&[Source]> = calls.iter().map(|call| &call.inputs[..]).collect();
    let from = Source::Call;
    assert_eq!(inputs, [&[Source::Input][..], &[from(0)], &[from(0)], &[from(1), from(2)], &[from(3)]]);
}

#[test]
fn the_longer_branch_s_layers_come_first() {
    // x -> 0 -> 1 -> add(3); x -> 2 -> add
    let nodes = [node(0, &[None]), node(1, &[Some(0)]), node(2, &[None]), node(3, &[Some(2), Some(1)])];
    assert_eq!(ordered(&nodes, 3, &name).unwrap().layers, [0, 2, 1, 3]);
}

#[test]
fn a_layer_that_is_called_twice_is_one() {
    // x -> 0 -> 1 -> 0 again
    let nodes = [node(0, &[None]), node(0, &[Some(2)]), node(1, &[Some(0)])];
    let Ordered { layers, calls } = ordered(&nodes, 1, &name).unwrap();
    let called: Vec<usize> = calls.iter().map(|call| layers[call.layer]).collect();
    assert_eq!(called, [0, 1, 0]);
}

#[test]
fn circles_are_refused() {
    let nodes = [node(0, &[Some(1)]), node(1, &[Some(0)])];
    assert!(ordered(&nodes, 1, &name).err().unwrap().to_string().contains("circle"));
}
