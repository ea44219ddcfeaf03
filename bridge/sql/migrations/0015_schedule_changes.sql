-- A proposal may also be one to change a schedule, which keeps its number and its history.
ALTER TABLE proposals ADD COLUMN changes INTEGER;      -- the schedule; NULL = a new one
