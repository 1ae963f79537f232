/** The parameter controls of a bot as form elements: sections, tabs, conditions and defaults. */

import type { Signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import type { Comparator, Control, Operand, Parameters, Section, Settings } from "./contract";

type Field = Exclude<Control, { control: "divider" } | { control: "condition" }>;

export function sectionsOf(settings: Settings | null | undefined): Section[] {
  return settings?.parameter_controls?.sections ?? [];
}

function controlsOf(section: Section): Control[] {
  return [...(section.controls ?? []), ...(section.tabs ?? []).flatMap((tab) => tab.controls)];
}

/** The initial values: the default of each control, also of those whose condition does not hold. */
export function defaultParameters(settings: Settings | null | undefined): Parameters {
  const values: Parameters = {};
  const visit = (controls: Control[]): void => {
    for (const control of controls) {
      if (control.control === "condition") visit(control.controls);
      else if (control.control !== "divider") {
        const value = "default_value" in control ? control.default_value : undefined;
        if (value !== undefined && value !== null) values[control.parameter_name] ??= value;
      }
    }
  };
  for (const section of sectionsOf(settings)) visit(controlsOf(section));
  return values;
}

function operandValue(operand: Operand, values: Parameters): unknown {
  return "literal" in operand ? operand.literal : values[operand.parameter_name];
}

/** Whether the comparison holds. Values of two types are unequal and in no order. */
export function compare(comparator: Comparator, left: unknown, right: unknown): boolean {
  if (comparator === "eq") return left === right;
  if (comparator === "ne") return left !== right;
  const isNumbers = typeof left === "number" && typeof right === "number";
  const isStrings = typeof left === "string" && typeof right === "string";
  if (!isNumbers && !isStrings) return false;
  if (comparator === "gt") return left > right;
  if (comparator === "ge") return left >= right;
  if (comparator === "lt") return left < right;
  return left <= right;
}

export function ParameterControls({ settings, values }: { settings: Settings | null | undefined; values: Signal<Parameters> }) {
  const sections = sectionsOf(settings);
  if (sections.length === 0) return null;
  return (
    <div class="parameters">
      {sections.map((section, i) => (
        <SectionView key={i} section={section} values={values} />
      ))}
      <button type="button" onClick={() => (values.value = defaultParameters(settings))}>
        Reset to defaults
      </button>
    </div>
  );
}

function SectionView({ section, values }: { section: Section; values: Signal<Parameters> }) {
  const body = section.tabs?.length ? (
    <Tabs tabs={section.tabs} values={values} />
  ) : (
    <ControlList controls={section.controls ?? []} values={values} />
  );
  if (!section.name) return <div class="section">{body}</div>;
  return (
    <details class="section" open={!section.collapsed_by_default}>
      <summary>{section.name}</summary>
      {body}
    </details>
  );
}

function Tabs({ tabs, values }: { tabs: NonNullable<Section["tabs"]>; values: Signal<Parameters> }) {
  const [selected, select] = useState(0);
  const id = useId();
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (selected + step + tabs.length) % tabs.length;
    select(next);
    document.getElementById(`${id}-tab-${next}`)?.focus();
  };
  return (
    <div>
      <div role="tablist" class="tabs" onKeyDown={onKeyDown}>
        {tabs.map((tab, i) => (
          <button
            key={i}
            type="button"
            role="tab"
            id={`${id}-tab-${i}`}
            aria-selected={i === selected}
            aria-controls={`${id}-panel`}
            tabIndex={i === selected ? 0 : -1}
            onClick={() => select(i)}
          >
            {tab.name || `Tab ${i + 1}`}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-tab-${selected}`}>
        <ControlList key={selected} controls={tabs[selected]?.controls ?? []} values={values} />
      </div>
    </div>
  );
}

function ControlList({ controls, values }: { controls: Control[]; values: Signal<Parameters> }) {
  return (
    <>
      {controls.map((control, i) => (
        <ControlView key={i} control={control} values={values} />
      ))}
    </>
  );
}

function ControlView({ control, values }: { control: Control; values: Signal<Parameters> }) {
  if (control.control === "divider") return <hr />;
  if (control.control === "condition") {
    const { comparator, left, right } = control.condition;
    const holds = compare(comparator, operandValue(left, values.value), operandValue(right, values.value));
    return holds ? <ControlList controls={control.controls} values={values} /> : null;
  }
  return <FieldView field={control} values={values} />;
}

function FieldView({ field, values }: { field: Field; values: Signal<Parameters> }) {
  const id = useId();
  if (!field.parameter_name) return <p class="problem">A control of the unknown kind “{String(field.control)}”.</p>;
  const set = (value: unknown) => (values.value = { ...values.value, [field.parameter_name]: value });
  const describedBy = field.description ? `${id}-description` : undefined;
  const common = { id, "aria-describedby": describedBy, name: field.parameter_name };
  const isGroup = field.control === "aspect_ratio";
  return (
    <div class={`field ${field.control}`}>
      {isGroup ? <span id={id}>{field.label}</span> : <label for={id}>{field.label}</label>}
      <FieldInput field={field} value={values.value[field.parameter_name]} set={set} common={common} />
      {field.description && (
        <small id={`${id}-description`}>{field.description}</small>
      )}
    </div>
  );
}

interface InputProps {
  field: Field;
  value: unknown;
  set: (value: unknown) => void;
  common: { id: string; "aria-describedby": string | undefined; name: string };
}

function FieldInput({ field, value, set, common }: InputProps) {
  switch (field.control) {
    case "text_field":
    case "text_area": {
      const props = {
        ...common,
        value: String(value ?? ""),
        placeholder: field.placeholder ?? "",
        onInput: (event: { currentTarget: { value: string } }) => set(event.currentTarget.value),
      };
      return field.control === "text_field" ? <input type="text" {...props} /> : <textarea rows={3} {...props} />;
    }
    case "drop_down":
      return (
        <select {...common} value={String(value ?? "")} onChange={(event) => set(event.currentTarget.value)}>
          {(value === undefined || value === null) && <option value="">Choose…</option>}
          {field.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.name}
            </option>
          ))}
        </select>
      );
    case "toggle_switch":
      return (
        <input
          {...common}
          type="checkbox"
          role="switch"
          checked={value === true}
          onChange={(event) => set(event.currentTarget.checked)}
        />
      );
    case "slider": {
      const number = typeof value === "number" ? value : field.min_value;
      return (
        <span class="slider-input">
          <input
            {...common}
            type="range"
            min={field.min_value}
            max={field.max_value}
            step={field.step}
            value={number}
            onInput={(event) => set(event.currentTarget.valueAsNumber)}
          />
          <output for={common.id}>{typeof value === "number" ? value : "not set"}</output>
        </span>
      );
    }
    case "aspect_ratio":
      return (
        <div class="ratios" role="radiogroup" aria-labelledby={common.id} aria-describedby={common["aria-describedby"]}>
          {field.options.map(({ width, height, value: name }) => {
            const option = name ?? `${width}:${height}`;
            const scale = 22 / Math.max(width, height);
            return (
              <label key={option}>
                <input
                  type="radio"
                  name={common.id}
                  value={option}
                  checked={value === option}
                  onChange={() => set(option)}
                />
                <span class="ratio" style={{ width: `${width * scale}px`, height: `${height * scale}px` }} aria-hidden="true" />
                {option}
              </label>
            );
          })}
        </div>
      );
  }
}
