-- The file actions of large commits while they arrive: one unlogged table for each, gone with its commit.
create schema staging;
