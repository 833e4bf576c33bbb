/** Which files a commit may add and remove together (PROTOCOL.md, "Add File and Remove File"). */
import { quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import type { Commit, Mention } from './commit.ts'

/** A file that an action adds or removes. */
export interface NamedFile extends Mention {
  key: string
}

function vectorName(vectorId: string | null): string {
  return vectorId === null ? 'no deletion vector' : `deletion vector ${quoted(vectorId)}`
}

function checkOpposite(file: NamedFile, opposite: Mention | undefined, report: Report): void {
  if (opposite === undefined || opposite.index > file.index) return
  if (opposite.vectorId !== file.vectorId) return
  const message = `${quoted(file.key)} is added and removed with ${vectorName(file.vectorId)}, see actions[${opposite.index}]; keep one of the two`
  report('add-and-remove', message)
}

/** An add must be the only one of its file, and must replace the live state of the file knowingly. */
export function checkAddIdentity(file: NamedFile, commit: Commit, report: Report): void {
  const { key, index, vectorId } = file
  const twin = commit.adds.get(key)
  if (twin !== undefined && twin.index !== index) {
    report(
      'duplicate-add',
      `${quoted(key)} is added already by actions[${twin.index}]; add it once`,
    )
  }
  const removal = commit.removes.get(key)
  checkOpposite(file, removal, report)
  const live = commit.state?.findLiveFile(key)
  if (live === undefined || live.deletionVectorId === vectorId) return
  if (removal?.vectorId === live.deletionVectorId) return
  const message = `${quoted(key)} is in the table at version ${commit.state?.version} with ${vectorName(live.deletionVectorId)}; remove that in the same commit to add it with ${vectorName(vectorId)}`
  report('file-already-live', message)
}

/** A remove must be the only one of its file. To remove what is not there is legal. */
export function checkRemoveIdentity(file: NamedFile, commit: Commit, report: Report): void {
  const { key, index } = file
  const twin = commit.removes.get(key)
  if (twin !== undefined && twin.index !== index) {
    const message = `${quoted(key)} is removed already by actions[${twin.index}]; remove it once`
    report('duplicate-remove', message)
  }
  checkOpposite(file, commit.adds.get(key), report)
}
