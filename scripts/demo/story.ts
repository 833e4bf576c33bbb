/** What the demo tells its reader. */
export interface Story {
  /** Begins a numbered scene. */
  scene: (title: string) => void
  line: (text: string) => void
  /** A request and its answer, in short. */
  exchange: (request: string, body: object | undefined, answer: Told) => void
  /** An answer in short. */
  answer: (answer: Told) => void
  /** Columns of text, aligned. */
  table: (rows: readonly (readonly unknown[])[]) => void
}

interface Told {
  status: number
  body: object
  /** What the answer shows besides its body. */
  note?: string
}

const width = 110
const indent = '   '
const textMax = 120
const depthMax = 3

/** Tells the story on standard output. */
export function tellStory(): Story {
  let scenes = 0
  const print = (text: string) => process.stdout.write(`${text}\n`)
  const line = (text: string) => print(`${indent}${text}`)
  const answer: Story['answer'] = ({ status, body, note }) => {
    for (const text of wrap(`← ${status} ${note === undefined ? '' : `${note} `}${brief(body)}`))
      line(text)
  }
  return {
    line,
    scene(title) {
      scenes += 1
      print(`\n${scenes}. ${title}`)
    },
    answer,
    exchange(request, body, told) {
      for (const text of wrap(`→ ${request}${body === undefined ? '' : ` ${brief(body)}`}`))
        line(text)
      answer(told)
    },
    table(rows) {
      const texts = rows.map((row) => row.map(String))
      const widths = (texts[0] ?? []).map((_, at) =>
        Math.max(...texts.map((row) => row[at]?.length ?? 0)),
      )
      for (const row of texts) {
        line(
          row
            .map((text, at) => text.padEnd(widths[at] ?? 0))
            .join('  ')
            .trimEnd(),
        )
      }
    },
  }
}

/** JSON with only the beginning of long texts, long lists and what lies deep. */
function brief(value: unknown, depth = 0): string {
  if (typeof value === 'string' && value.length > textMax) {
    return JSON.stringify(`${value.slice(0, textMax)}…`)
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (depth === depthMax) return Array.isArray(value) ? '[…]' : '{…}'
  if (Array.isArray(value)) {
    const more = value.length > 1 ? [`… ${value.length - 1} more`] : []
    return `[${[...value.slice(0, 1).map((item) => brief(item, depth + 1)), ...more].join(', ')}]`
  }
  const members = Object.entries(value).map(
    ([name, member]) => `"${name}": ${brief(member, depth + 1)}`,
  )
  return `{${members.join(', ')}}`
}

/** Lines no wider than a terminal where they can be broken at a blank. */
function wrap(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`
    } else {
      lines.push(last === undefined ? word : `  ${word}`)
    }
  }
  return lines
}
