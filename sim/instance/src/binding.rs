//! The values of a program's variables, and how they are computed and compared.

use alloc::sync::Arc;

use wavetank_store::Value;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::program::{Comparison, Expression, Operand};
use crate::task::RequestTask;

/// What a variable holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Binding {
    /// Nothing, or the value of a property that is not there.
    #[default]
    Null,
    Flag(bool),
    Int(i64),
    Text(Arc<str>),
    Node(NodeId),
    Relationship(RelationshipId),
}

impl From<Value> for Binding {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(flag) => Binding::Flag(flag),
            Value::Byte(number) => Binding::Int(number.into()),
            Value::Short(number) => Binding::Int(number.into()),
            Value::Int32(number) => Binding::Int(number.into()),
            Value::Int(number) => Binding::Int(number),
            Value::Text(text) => Binding::Text(text),
            Value::Node(node) => Binding::Node(node),
            Value::Relationship(relationship) => Binding::Relationship(relationship),
            // The step language has no such values; no program writes one.
            _ => Binding::Null,
        }
    }
}

impl Binding {
    /// As the value of a property; a node or relationship is no such value.
    pub(crate) fn into_property(self) -> Value {
        match self {
            Binding::Flag(flag) => Value::Bool(flag),
            Binding::Int(number) => Value::Int(number),
            Binding::Text(text) => Value::Text(text),
            Binding::Null | Binding::Node(_) | Binding::Relationship(_) => Value::Null,
        }
    }

    /// As a number for the record: of a text, one that stands for it (FNV-1a, 63 bits).
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Binding::Null => None,
            Binding::Flag(flag) => Some((*flag).into()),
            Binding::Int(number) => Some(*number),
            Binding::Text(text) => Some(
                text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                }) as i64
                    & i64::MAX,
            ),
            Binding::Node(node) => Some(node.0 as i64),
            Binding::Relationship(relationship) => Some(relationship.0 as i64),
        }
    }
}

fn operand(work: &RequestTask, operand: &Operand) -> Binding {
    let request = &work.request;
    match operand {
        Operand::Null => Binding::Null,
        Operand::Flag(flag) => Binding::Flag(*flag),
        Operand::Int(number) => Binding::Int(*number),
        Operand::Text(text) => Binding::Text(text.clone()),
        Operand::Me => Binding::Int(request.me.0 as i64),
        Operand::Other => Binding::Int(request.other.0 as i64),
        Operand::Operation => Binding::Int(request.operation.to_word() as i64),
        Operand::Now => Binding::Int(request.now_ms as i64),
        Operand::Variable(slot) => work.slots.get(usize::from(*slot)).cloned().unwrap_or_default(),
    }
}

/// The value of an expression. What is no number counts as 0 in a sum.
pub(crate) fn value(work: &RequestTask, expression: &Expression) -> Binding {
    let first = operand(work, &expression.first);
    let Some((minus, second)) = &expression.second else { return first };
    let number = |binding: Binding| match binding {
        Binding::Int(number) => number,
        _ => 0,
    };
    let (a, b) = (number(first), number(operand(work, second)));
    Binding::Int(if *minus { a.wrapping_sub(b) } else { a.wrapping_add(b) })
}

/// Whether a comparison holds.
pub(crate) fn compare(left: &Binding, by: Comparison, right: &Binding) -> bool {
    let numbers = match (left, right) {
        (Binding::Int(left), Binding::Int(right)) => Some((left, right)),
        _ => None,
    };
    match by {
        Comparison::Equal => left == right,
        Comparison::Different => left != right,
        Comparison::Less => numbers.is_some_and(|(left, right)| left < right),
        Comparison::LessOrEqual => numbers.is_some_and(|(left, right)| left <= right),
        Comparison::Greater => numbers.is_some_and(|(left, right)| left > right),
        Comparison::GreaterOrEqual => numbers.is_some_and(|(left, right)| left >= right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_less_than_others() {
        let text = |text: &str| Binding::Text(text.into());
        assert!(compare(&Binding::Int(1), Comparison::Less, &Binding::Int(2)));
        assert!(!compare(&text("a"), Comparison::Less, &text("b")));
        assert!(!compare(&Binding::Null, Comparison::GreaterOrEqual, &Binding::Int(0)));
        assert!(compare(&text("a"), Comparison::Equal, &text("a")));
        assert!(compare(&Binding::Null, Comparison::Different, &Binding::Int(0)));
    }

    #[test]
    fn properties_come_back_as_they_were_written() {
        for binding in
            [Binding::Null, Binding::Flag(true), Binding::Int(-7), Binding::Text("x".into())]
        {
            assert_eq!(Binding::from(binding.clone().into_property()), binding);
        }
        assert_eq!(Binding::Node(NodeId(3)).into_property(), Value::Null);
    }

    #[test]
    fn equal_texts_have_equal_numbers() {
        let number = |text: &str| Binding::Text(text.into()).number();
        assert_eq!(number("ann"), number("ann"));
        assert_ne!(number("ann"), number("bob"));
        assert_eq!(Binding::Null.number(), None);
    }
}
