from .figures import Figure, Plan
def measure(plan: Plan) -> list[Figure]:
    return []
