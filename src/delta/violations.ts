/**
 * Every way in which a commit can break the Delta protocol, or what this service asks beyond it. One line a
 * code: what it means.
 */
export const violationCodes = {
  'path-empty': 'A file action has an empty path.',
  'path-absolute': 'A path is absolute; files are named relative to the location of their table.',
  'path-parent-segment': 'A path has a ".." segment and could leave the table.',
  'path-empty-segment': 'A path has an empty or "." segment, which storages read differently.',
  'path-in-log': 'A path lies in _delta_log, where only the log itself lives.',
  'path-encoding-invalid': 'A path is not UTF-8 in percent-encoding.',
  'path-character-invalid':
    'A path holds a character that must be percent-encoded, or cannot be stored.',
  'path-too-long': 'A path is longer than 2,000 bytes when decoded.',
  'duplicate-add': 'Two add actions name the same file.',
  'duplicate-remove': 'Two remove actions name the same file.',
  'duplicate-metadata': 'A commit has more than one metaData action.',
  'duplicate-protocol': 'A commit has more than one protocol action.',
  'duplicate-commit-info': 'A commit has more than one commitInfo action.',
  'duplicate-txn': 'Two txn actions name the same application.',
  'duplicate-domain': 'Two domainMetadata actions name the same domain.',
  'add-and-remove': 'A file is both added and removed with the same deletion vector.',
  'file-already-live':
    'A file is added with another deletion vector than it has, without the remove of the old one.',
  'append-only': 'Data is removed from a table that is append-only.',
  'long-invalid': 'A number is not a whole number in plain digits within the range of its field.',
  'member-repeated': 'An object in an action has the same member twice.',
  'nesting-too-deep': 'An action nests too deep to be read exactly.',
  'size-negative': 'A file has a negative size.',
  'time-negative': 'A time lies before 1970.',
  'row-id-negative': 'A base row id or row commit version is negative.',
  'row-ids-not-tracked': 'A file is added with row ids to a table that does not track rows.',
  'row-ids-contradict': 'Row ids contradict those that the file, the table or another file has.',
  'row-ids-without-records':
    'A file is added to a table that tracks rows, but its statistics lack numRecords.',
  'row-tracking-invalid': 'The properties of row tracking contradict each other or the schema.',
  'row-tracking-incomplete':
    'Row tracking is enabled while files of the table have no row ids yet.',
  'partition-columns-mismatch':
    'The keys of partitionValues are not the partition columns of the table.',
  'partition-value-invalid': 'A partition value cannot be read as the type of its column.',
  'text-not-storable': 'A name or value holds a NUL character or an unpaired surrogate.',
  'stats-invalid':
    'The statistics of a file are not a JSON object that every reader reads the same, or their record count is no count.',
  'deletion-vector-invalid': 'A deletion vector contradicts itself or its file.',
  'deletion-vectors-off':
    'A new deletion vector is written to a table that does not have them turned on.',
  'deletion-vector-without-records':
    'A file has a deletion vector but its statistics lack numRecords.',
  'extended-metadata-missing':
    'A remove claims extended file metadata but lacks partitionValues or size.',
  'cdc-off': 'A cdc action stands on a table whose change data feed is not turned on.',
  'cdc-data-change': 'A cdc action has dataChange true.',
  'void-not-writable':
    'Files are added to a table whose schema has void columns that no file can hold.',
  'metadata-missing': 'The first version of a table lacks a metaData action.',
  'protocol-missing': 'The first version of a table lacks a protocol action.',
  'metadata-id-empty': 'A metaData action has an empty id.',
  'format-unsupported': 'The files of a table are in a format other than Parquet.',
  'schema-invalid': 'The schema of a table cannot be read or used.',
  'column-invalid': 'A column says something of itself that readers or writers cannot follow.',
  'schema-change-unsafe': 'The schema changes so that files of the table could no longer be read.',
  'partition-columns-invalid': 'The partition columns do not fit the schema.',
  'partition-columns-changed': 'The partition columns change while files remain.',
  'configuration-invalid': 'A table property has a value that Delta cannot read.',
  'column-mapping-invalid':
    'Column ids or physical names are missing, repeated or changed unsafely.',
  'in-commit-timestamps-off':
    'In-commit timestamps are turned off, or since when they are on changes.',
  'feature-missing': 'A metaData or action needs a table feature that the protocol lacks.',
  'feature-unsupported': 'A table feature is not supported by this service.',
  'feature-removed': 'A table feature is removed.',
  'clustering-invalid':
    'The domain delta.clustering does not name columns of the schema that have an order.',
  'iceberg-compat-invalid':
    'A table is to be readable as Iceberg, but its columns, properties or partitioning are not.',
  'iceberg-compat-without-records':
    'A file is added to a table that is to be readable as Iceberg, but its statistics lack numRecords.',
  'clustering-with-partitions': 'A table is clustered and partitioned at once.',
  'protocol-version-invalid': 'A protocol version is out of range.',
  'protocol-features-invalid':
    'The feature lists of a protocol contradict its versions or each other.',
  'protocol-downgrade': 'A protocol version goes down.',
  'app-id-invalid': 'The application id of a txn action is empty or too long.',
  'domain-invalid': 'The domain of a domainMetadata action is empty or too long.',
  'domain-reserved': 'A domain of the system (delta.*) is written by a user.',
  'checkpoint-action': 'An action that belongs into checkpoints stands in a commit.',
  'action-misspelled': 'The name of an action differs from a known one only in case.',
  'commit-info-invalid': 'A commitInfo action is not an object.',
} as const

export type ViolationCode = keyof typeof violationCodes

/** Tells of one violation of the action at hand. */
export type Report = (code: ViolationCode, message: string) => void
