import { constants, type Dirent } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { beginLocalFile, nameOfTemporary } from './local-file.ts'
import { hasCode, isAbsent, resolveLocalLocation } from './local-location.ts'
import { locationNotAllowed } from './location-problem.ts'
import {
  type BeginOptions,
  type ByteRange,
  checkFileName,
  FileMissingError,
  type Folder,
  type ListOptions,
  type PendingFile,
  type Storage,
  type StoredFile,
} from './storage.ts'

/** The folders of this machine below `roots`, which are absolute paths. */
export function createLocalStorage(roots: readonly string[]): Storage {
  const resolve = (location: string) => resolveLocalLocation(location, roots)
  return {
    resolve,
    open: async (location) => new LocalFolder(await resolve(location), resolve),
  }
}

/** Calls to the file system at the same time at most. */
const callsMax = 64

class LocalFolder implements Folder {
  readonly location: string
  readonly #resolve: (path: string) => Promise<string>
  /** Directories that have names which a loss of power could undo. */
  readonly #unsynced = new Set<string>()

  constructor(location: string, resolve: (path: string) => Promise<string>) {
    this.location = location
    this.#resolve = resolve
  }

  async *list({ prefix = '', startAfter = '' }: ListOptions = {}): AsyncGenerator<StoredFile> {
    const below = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const directory = await this.#directoryOf(`${prefix}…`)
    const names = (await readDirectory(directory))
      .filter((entry) => !entry.isDirectory() && nameOfTemporary(entry.name) === undefined)
      .map((entry) => below + entry.name)
      .filter((name) => name.startsWith(prefix) && name > startAfter)
      .sort()
    for (const some of batches(names)) {
      const files = await Promise.all(some.map((name) => lookAt(directory, name)))
      yield* files.filter((file) => file !== undefined)
    }
  }

  async read(name: string, range?: ByteRange): Promise<Readable> {
    const file = await this.#open(name)
    if (file === undefined) throw new FileMissingError(this.location, name)
    if (range === undefined) return file.createReadStream()
    if (range.start < range.end) {
      return file.createReadStream({ start: range.start, end: range.end - 1 })
    }
    await file.close()
    return Readable.from([])
  }

  async size(name: string): Promise<number | undefined> {
    await using file = await this.#open(name)
    return (await file?.stat())?.size
  }

  async begin(name: string, { isExpendable = false }: BeginOptions = {}): Promise<PendingFile> {
    const directory = await this.#directoryOf(name)
    const onChange = () => {
      if (!isExpendable) this.#unsynced.add(directory)
    }
    const file = { name: basename(name), isExpendable, onChange }
    const begin = () => beginLocalFile(directory, file)
    try {
      return await begin()
    } catch (error) {
      if (!isAbsent(error)) throw inItsWay(error, directory)
    }
    await this.#make(directory)
    return begin()
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const some of batches(names)) {
      await Promise.all(some.map((name) => this.#remove(name)))
    }
  }

  async sync(): Promise<void> {
    const directories = [...this.#unsynced]
    this.#unsynced.clear()
    try {
      await Promise.all(directories.map(syncDirectory))
    } catch (error) {
      for (const directory of directories) this.#unsynced.add(directory)
      throw error
    }
  }

  async sweep(wanted: (name: string) => boolean): Promise<void> {
    const entries = await readDirectory(this.location)
    const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${name}/`)
    for (const prefix of ['', ...below]) {
      const there = prefix === '' ? entries : await readDirectory(join(this.location, prefix))
      const leftovers = there.filter(({ name }) => {
        const target = nameOfTemporary(name)
        return target !== undefined && wanted(prefix + target)
      })
      for (const some of batches(leftovers)) {
        const paths = some.map(({ name }) => join(this.location, prefix, name))
        await Promise.all(paths.map((path) => rm(path, { force: true })))
      }
    }
  }

  async #remove(name: string): Promise<void> {
    const directory = await this.#directoryOf(name)
    try {
      await unlink(join(directory, basename(name)))
      this.#unsynced.add(directory)
    } catch (error) {
      if (!isAbsent(error)) throw error
    }
  }

  /** The directory of a name; one below the folder is looked at anew, for it may be a link. */
  async #directoryOf(name: string): Promise<string> {
    const [below, ...rest] = checkFileName(name).split('/')
    if (below === undefined || rest.length === 0) return this.location
    return this.#resolve(join(this.location, below))
  }

  /** Opens a file to read it. A link is followed only to where a location may be. */
  async #open(name: string): Promise<FileHandle | undefined> {
    const path = join(await this.#directoryOf(name), basename(name))
    // A pipe would block until somebody writes.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK
    try {
      const file = await open(path, flags | constants.O_NOFOLLOW).catch(async (error) => {
        if (hasCode(error, 'ELOOP')) return open(await this.#resolve(path), flags)
        throw error
      })
      if ((await file.stat()).isFile()) return file
      await file.close()
      return undefined
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }

  async #make(directory: string): Promise<void> {
    const first = await mkdir(directory, { recursive: true })
    if (first === undefined) return
    for (let made = directory; made !== dirname(first); ) {
      made = dirname(made)
      this.#unsynced.add(made)
    }
  }
}

async function readDirectory(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (isAbsent(error)) return []
    throw inItsWay(error, path)
  }
}

/** The error, in words when something other than a folder is at its path. */
function inItsWay(error: unknown, path: string): unknown {
  return hasCode(error, 'ENOTDIR') ? locationNotAllowed(`${path} is not a folder.`) : error
}

async function lookAt(directory: string, name: string): Promise<StoredFile | undefined> {
  try {
    const stats = await stat(join(directory, basename(name)))
    if (!stats.isFile()) return undefined
    return { name, size: stats.size, modifiedAt: stats.mtimeMs }
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}

function* batches<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let at = 0; at < items.length; at += callsMax) yield items.slice(at, at + callsMax)
}
