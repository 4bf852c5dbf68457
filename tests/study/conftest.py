import sys
from pathlib import Path

# Worker processes import the evaluators by name, and they inherit sys.path.
sys.path.insert(0, str(Path(__file__).parent))
