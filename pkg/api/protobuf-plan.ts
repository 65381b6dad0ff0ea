/**
 * How the messages of a type are laid out, compiled from the table: which field has which number, and which embedded
 * messages only group fields that JSON has side by side. Shared by both directions of the protobuf codec.
 */

import type { FieldSchema, TypeSchema } from './schema.ts';

type PlanNode =
  | { readonly kind: 'field'; readonly field: FieldSchema }
  | { readonly kind: 'embedded'; readonly plan: Plan };

/** By field number. */
export type Plan = ReadonlyMap<number, PlanNode>;

const plans = new WeakMap<TypeSchema, Plan>();

/** The plan of a type's message; made once. */
export function planOf(schema: TypeSchema): Plan {
  const known = plans.get(schema);
  if (known) return known;
  const plan = new Map<number, PlanNode>();
  for (const field of schema.fields.values()) place(plan, field);
  plans.set(schema, plan);
  return plan;
}

function place(plan: Map<number, PlanNode>, field: FieldSchema): void {
  const last = field.pb.at(-1);
  if (last === undefined) return;
  let inner = plan;
  for (const number of field.pb.slice(0, -1)) inner = embeddedIn(inner, number);
  inner.set(last, { kind: 'field', field });
}

function embeddedIn(plan: Map<number, PlanNode>, number: number): Map<number, PlanNode> {
  const known = plan.get(number);
  if (known?.kind === 'embedded') return known.plan as Map<number, PlanNode>;
  const inner = new Map<number, PlanNode>();
  plan.set(number, { kind: 'embedded', plan: inner });
  return inner;
}
