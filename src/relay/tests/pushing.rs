//! Pushes, appends and acks (SPEC.md 11.2, 11.5 and 11.6).

use super::*;

//= RLY-4 test
//= RLY-43 test
#[test]
fn a_push_is_acknowledged_and_delivered_when_it_is_durable() {
    let mut world = World::with(&[1, 2]);
    assert_eq!(world.send(2, subscribe(5, (0, 0), 1_000, &[])), ["2 < update 5: 0 -> 0 []"]);
    let blocks = [block(1, 1, &[("a", 1), ("a", 2)]), block(1, 3, &[("b", 3)])];
    assert_eq!(world.send(1, push(9, &blocks)), ["append n1 of ann 0-3 [1:2 3:1]"]);
    assert_eq!(world.answer(), ["1 < ack #9 1-e1:2, 3-e1:3", "2 < update 5: 0 -> e1:3 [1:2 3:1]"]);
}
